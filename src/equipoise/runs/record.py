"""What goes into training, as it is known before: weights, notes, and their record in the run."""

from importlib.metadata import version
from pathlib import Path

import numpy as np

from equipoise.config import advice, identity
from equipoise.config.model import Config, config_sha256, training_sha256
from equipoise.core.colors import weighting_color
from equipoise.core.schema import Floats, arguments
from equipoise.data.prepared import Prepared
from equipoise.data.preprocessing import PREPROCESSING
from equipoise.data.sampling import Sampling, sampling
from equipoise.data.types import title_of
from equipoise.methods import effect
from equipoise.methods.losses import LOSSES, Known
from equipoise.methods.priors import effective_prior
from equipoise.methods.weighting import ClassWeights, class_weights
from equipoise.tracking import keys
from equipoise.tracking.artifacts import CONFIG
from equipoise.tracking.run import Run


def config_tags(config: Config, data: Prepared) -> dict[str, str]:
    """What runs are found and told apart by."""
    tags = {
        "weighting": config.weighting.name,
        "loss": config.loss.name,
        "function": config.loss.function,
        "implementation": config.loss.implementation,
        "model": config.model.name,
        "dataset": config.dataset.name,
        "decision": config.decision.name,
        "seed": str(config.seed),
        "config_sha256": config_sha256(config),
        "deterministic": str(config.trainer.deterministic).lower(),
        **{package: version(package) for package in ("tensorflow", "keras")},
        "training_sha256": training_sha256(config),
        "data_sha256": data.data_sha256,
        **identity.tags(config),
        "mlflow.runColor": weighting_color(config.weighting.name),
    }
    positive = None if data.several_labels else advice.positive(config, data)
    return (
        tags
        | ({} if positive is None else {"positive": positive})
        | ({} if config.sweep == "auto" else {"sweep_id": config.sweep})
    )


def weigh(config: Config, data: Prepared) -> ClassWeights:
    """The class weights that the config makes of the training counts."""
    return (
        _label_weights(config, data)
        if data.several_labels
        else class_weights(config.weighting, data.counts, data.classes)
    )


def notes(config: Config, weights: ClassWeights) -> list[str]:
    """What cannot have the effect that was meant, and what is corrected twice."""
    return [*effect.warnings(config.weighting.name, weights, config.trainer.optimizer), *advice.notes(config, weights)]


def drawing(config: Config, data: Prepared) -> Sampling | None:
    """How samples are drawn, or None if each is taken once an epoch."""
    return sampling(config.dataset.sampling, data.split("train").labels, data.counts, config.trainer.epochs)


def log_config(config: Config, log: Run) -> None:
    """The checked config, typed, and the folder that its relative paths start from: MLflow's params are text, and cut."""
    log.log_json({"working_directory": str(Path.cwd()), "config": config.model_dump(mode="json")}, CONFIG)


def log_inputs(config: Config, log: Run, data: Prepared, weights: ClassWeights) -> None:
    """What goes into training: the data, counts, weights, and what follows from them."""
    log_config(config, log)
    log.log_dataset(
        title_of(config.dataset), data.data_sha256, dict(zip(data.classes, data.counts.tolist(), strict=True))
    )
    shown = advice.as_shown(config, data, weights)
    per_class = {"weight": shown.weights, "count": shown.counts, "weight_share": shown.share}
    per_class |= {} if data.several_labels else _corrections(config, data, weights)
    log.log_metrics(
        {
            **keys.by_class(data, per_class),
            "samples/train": len(data.split("train").labels),  # n_test / n_train is what a comparison over splits needs
            "weight_sample_mean": shown.sample_mean,
            "effective_sample_size": shown.effective_sample_size,
            "learning_rate_factor": effect.learning_rate_factor(shown, config.trainer.optimizer),
            **{f"reference/{name}": value for name, value in data.reference.items()},
        }
    )
    log.log_profile("profile/weight", keys.profile(data, shown.weights))
    # As the model was trained under: a loss's own factor comes on top of them wherever they are read.
    rows = zip(data.classes, weights.counts, weights.weights, weights.share, strict=True)
    table = {
        name: {"count": int(count), "weight": float(weight), "share": float(share)}
        for name, count, weight, share in rows
    }
    log.log_json(table, "weights.json")
    log.log_json({"sha256": data.data_sha256, "notes": list(data.notes)}, "data.json")
    log.log_text((data.folder / PREPROCESSING).read_text(encoding="utf-8"), PREPROCESSING)
    for file in sorted((log.folder / ".hydra").glob("*.yaml")):
        log.log_file(file, "config")


def _label_weights(config: Config, data: Prepared) -> ClassWeights:
    """The factor of each label's positives, which is what weights are where a sample may have several labels."""
    of_positives = LOSSES[config.loss.name].positives
    assert of_positives is not None, "no other loss takes several labels"
    known = Known(data.counts.astype(np.float64), len(data.split("train").labels), several_labels=True)
    options = arguments(config.loss, of_positives, data.classes)
    if config.weighting.name == "balanced":
        options["pos_weight"] = "auto"
    weights = np.broadcast_to(of_positives(known, **options), data.counts.shape)
    return ClassWeights(data.classes, data.counts, np.array(weights))


def _corrections(config: Config, data: Prepared, weights: ClassWeights) -> dict[str, Floats]:
    """What corrects the class balance beside the weights, and what comes of it all."""
    found: dict[str, Floats] = {}
    drawn = drawing(config, data)
    effective = effective_prior(weights, config.loss, config.trainer.second_stage, drawn)
    if effective is not None:
        found["effective_prior"] = effective
    by_loss = advice.loss_correction(config, weights)
    if by_loss is not None:
        found["correction"] = weights.weights * by_loss
    if drawn is not None:
        found |= {"sampling_ratio": drawn.ratio, "effective_weight": drawn.ratio * weights.weights}
    return found
