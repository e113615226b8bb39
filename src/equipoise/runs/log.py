"""The step `log`, up to the trained model: what a run's inputs and its training leave in MLflow."""

import functools
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.config import identity
from equipoise.config.model import Config, chosen_own, config_sha256, training_sha256
from equipoise.core import plugins
from equipoise.core.colors import weighting_color
from equipoise.core.schema import Floats
from equipoise.core.terminal import warn
from equipoise.data.prepared import Prepared
from equipoise.data.preprocessing import PREPROCESSING
from equipoise.data.resamplers import PACKAGE
from equipoise.data.sampling import resampler
from equipoise.data.types import ClassCounts, title_of
from equipoise.methods.models import estimator, packages_of
from equipoise.methods.saved_model import own_modules
from equipoise.methods.tasks.one_label import positive
from equipoise.methods.weighting import ClassWeights, learning_rate_factor
from equipoise.runs.weigh import shown
from equipoise.tracking import history, keys
from equipoise.tracking.artifacts import CONFIG
from equipoise.tracking.run import Run
from equipoise.training.learner import Learner
from equipoise.training.trained import Trained

MOST_CHARACTERS = 7900  # of a tag that is read back: MLflow's limit is 8,000


def config_tags(config: Config, data: Prepared) -> dict[str, str]:
    """Return what runs are found and told apart by."""
    tags = {
        "weighting": config.weighting.name,
        "loss": config.loss.name,
        "function": config.loss.function,
        "implementation": config.loss.implementation,
        "model": config.model.name,
        "dataset": config.dataset.name,
        "decision": config.decision.name,
        "calibration": config.calibration.name,
        "seed": str(config.seed),
        "config_sha256": config_sha256(config),
        "deterministic": str(config.trainer.deterministic).lower(),
        **{package: version(package) for package in packages(config)},
        "training_sha256": training_sha256(config),
        "data_sha256": data.data_sha256,
        **identity.tags(config),
        "mlflow.runColor": weighting_color(config.weighting.name),
    }
    named = positive(config.dataset, data)
    tags |= {} if named is None else {"positive": named}
    return tags | ({} if config.sweep == "auto" else {"sweep_id": config.sweep})


def packages(config: Config) -> tuple[str, ...]:
    """Return the packages whose versions the config's result depends on."""
    record = resampler(config.dataset.sampling)
    more = () if record is None or record.own else ("scikit-learn", PACKAGE)
    return tuple(dict.fromkeys((*packages_of(config.model.name), *more)))


def log_config(config: Config, log: Run) -> None:
    """Log the checked config with its types, which MLflow's params lack, and the folder that its paths start from."""
    log.log_json({"working_directory": str(Path.cwd()), "config": config.model_dump(mode="json")}, CONFIG)


def log_inputs(config: Config, log: Run, data: Prepared, weights: ClassWeights) -> None:
    """Log what goes into training, but for its metrics: the data, counts and weights."""
    log_config(config, log)
    _log_own(config, log)
    log.log_dataset(
        title_of(config.dataset), data.data_sha256, dict(zip(data.classes, data.counts.tolist(), strict=True))
    )
    counts = keys.profile(data, np.asarray(shown(config, data, weights).counts, np.float64)).round(1)
    numbers = (int(count) if count.is_integer() else count for count in counts.tolist())
    set_json_tag(log, history.CLASS_COUNTS, dict(zip(keys.points(data), numbers, strict=True)))
    log_weights(log, data, weights)
    log.log_json({"sha256": data.data_sha256, "notes": list(data.notes)}, "data.json")
    log_preprocessing(log, data)
    for file in sorted((log.folder / ".hydra").glob("*.yaml")):
        log.log_file(file, "config")


def log_input_metrics(config: Config, log: Run, data: Prepared, weights: ClassWeights) -> None:
    """Log the weights and what follows from them, once all else is logged: MLflow lists metrics in this order."""
    table = shown(config, data, weights)
    log.log_metrics(
        {
            # n_test / n_train is what a comparison over splits needs; log_evaluation adds n_test.
            **{f"samples/{split}": len(data.split(split).labels) for split in ("train", "validation")},
            **({} if data.resampled is None else {"samples/resampled": int(data.resampled.sum())}),
            "weight_sample_mean": table.sample_mean,
            "effective_sample_size": table.effective_sample_size,
            "learning_rate_factor": learning_rate_factor(table, config.trainer.optimizer),
            **{f"reference/{name}": value for name, value in data.reference.items()},
            **keys.by_class(data, {"weight": table.weights}),
        }
    )
    log_profiles(log, data, {"weight": table.weights, "weight_share": table.share})


def log_profiles(log: Run, data: ClassCounts, per_class: Mapping[str, Floats]) -> None:
    """Log values of each class, float64 (classes,), as lines over the classes' ranks."""
    for name, values in per_class.items():
        log.log_profile(f"profile/{name}", keys.profile(data, values))


def set_json_tag(log: Run, key: str, value: Any) -> bool:
    """Set a tag that a comparison reads without opening a file; return whether it is short enough for MLflow."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= MOST_CHARACTERS:
        log.set_tag(key, text)
    return len(text) <= MOST_CHARACTERS


def log_weights(log: Run, data: Prepared, weights: ClassWeights) -> None:
    """Log each class's count and weight, as the model was trained under.

    A loss's own factor comes on top of the weights wherever they are read.
    """
    columns: dict[str, Sequence[float]] = {
        "count": weights.counts.tolist(),
        "weight": weights.weights.tolist(),
        "share": weights.share.tolist(),
    }
    if data.resampled is not None:
        columns["resampled"] = data.resampled.tolist()
    if weights.masses is not None:  # of the rows' own weights
        columns |= {"row_weights": weights.masses.sums.tolist(), "squares": weights.masses.squares.tolist()}
    by_name = {name: {key: values[row] for key, values in columns.items()} for row, name in enumerate(data.classes)}
    log.log_json(by_name, "weights.json")


def log_preprocessing(log: Run, data: Prepared) -> None:
    """Log how raw rows become the features that the model takes."""
    log.log_text((data.folder / PREPROCESSING).read_text(encoding="utf-8"), PREPROCESSING)


def _log_own(config: Config, log: Run) -> None:
    """Log the files of the user's own options, as they are."""
    for file in dict.fromkeys(file for own in chosen_own(config) for file in plugins.files_of(own)):
        log.log_file(file, plugins.FOLDER)


def log_trained(config: Config, log: Run, data: Prepared, trained: Trained, learner: Learner) -> None:
    """Log what is known once a learner has learned: its second stage, its digest and itself.

    Of one that is only judged, and trained once more on all rows, the digest has another name, and no model is logged.
    """
    for name, values in trained.second_stage.items():
        log.log_profile(f"second_stage/{name}", np.array(values))
    if config.trainer.refit:
        log.set_tag("judged_weights_sha256", trained.weights_sha256)
    else:
        log_learner(config, log, learner, len(trained.history), trained.weights_sha256)


def log_learner(config: Config, log: Run, learner: Learner, epochs: int, digest: str) -> None:
    """Log the model that a run hands over, and the digest of its weights."""
    log.set_tag("weights_sha256", digest)
    learner.save(functools.partial(_log_model, config, log, epochs))


def _log_model(config: Config, log: Run, step: int, model: Any, example: Floats) -> None:
    """Log an estimator, or a Keras model with the files that define layers of its own."""
    if estimator(config.model.name) is not None:
        log.log_estimator(model, example, step, packages_of(config.model.name))
        return
    modules = own_modules(model.to_json())
    own = [each for each in chosen_own(config) if each.module in modules and plugins.is_in_folder(each)]
    code = list(dict.fromkeys(file for each in own for file in plugins.files_of(each)))
    others = [module for module in modules if module not in [each.module for each in own]]
    needed = [f"where {file.name} is in {plugins.FOLDER}/" for file in code[:1]] + [f"with {name}" for name in others]
    carried = "; the run has the file, and MLflow's copy of the model carries it" if code else ""
    if needed:
        warn(f"model={config.model.name} has layers of its own: it loads {' and '.join(needed)}{carried}")
    log.log_model(model, example, step, code)
