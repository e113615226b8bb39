"""A run on prepared data: weigh, fit, evaluate, log. The steps in order, each from the config and the step before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equipoise import by_rank, corrections, effect, multilabel, resume, runtime
from equipoise.config import Config, Trainer, config_sha256, flat
from equipoise.costs import cost_matrix
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import Sampling, sampling
from equipoise.data.sources import title_of
from equipoise.decisions import BESIDE, DECISIONS, Known, applicable
from equipoise.intervals import Interval, bootstrap
from equipoise.losses import LOSSES, positive_weights
from equipoise.metrics import Evaluation, decision_metrics, evaluate, frequency_groups, log_softmax, most_probable, move_prior
from equipoise.options import Floats, arguments
from equipoise.priors import effective_prior, target_prior
from equipoise.report import Evidence, as_html, pictures
from equipoise.schedules import share_at, weights_at
from equipoise.terminal import progress_bar, warn
from equipoise.tracking import Run, Store, class_keys, start_run
from equipoise.weighting import STRATEGIES, ClassWeights, class_weights

# What every decision rule is judged by.
BY_RULE = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "worst_class_recall")
MOST_PROBABLE = 5  # classes of each sample in predictions.parquet, where there are too many for a column each
REPORT = "evaluation/report.html"  # below the run's folder

# One colour a strategy in every chart of MLflow.
PALETTE = ("#7f7f7f", "#1f77b4", "#17becf", "#9467bd", "#2ca02c", "#ff7f0e", "#d62728", "#8c564b", "#e377c2", "#bcbd22")


@dataclass(frozen=True)
class Finished:
    """A run that is complete."""

    run_id: str
    experiment_id: str
    data: Prepared
    weights: ClassWeights
    evaluation: Evaluation
    intervals: Mapping[str, Interval]
    by_rule: Mapping[str, Mapping[str, float]]  # decision rule to metrics of what it makes of the same logits
    epochs: int
    device: str
    folder: Path  # what it wrote beside the store
    is_uploaded: bool  # whether the store has all of it, or it waits in the folder


def run(config: Config, data: Prepared, store: Store, folder: Path) -> Finished:
    """One run on prepared data, logged to the store, or the rest of one that was interrupted.

    Parameters
    ----------
    folder : what a new run writes besides lands here; it must exist. An interrupted one goes on in its own.
    """
    weights = _label_weights(config, data) if data.several_labels else class_weights(config.weighting, data.counts, data.classes)
    trainer = config.trainer
    for note in () if data.several_labels else _warnings(config, weights):
        warn(note)
    if len(data.classes) > by_rank.MOST_KEYED:
        warn(
            f"{len(data.classes):,} classes, more than {by_rank.MOST_KEYED:,}: MLflow gets the means of {by_rank.GROUPS} groups of ranks "
            "(test/recall/ranks_…) in place of each class; evaluation/per_class.json has every class"
        )
    experiment = title_of(config.dataset)
    store.check_experiments({experiment})  # what is wrong with it is known before TensorFlow's seconds
    device = runtime.start(trainer.device, trainer.threads, deterministic=trainer.deterministic, gpu_memory=trainer.gpu_memory)
    for note in _device_notes(trainer, device):
        warn(note)
    begun = resume.interrupted(store, config, data.data_sha256) if trainer.resume and store.answers else None
    folder, adopt = (begun.folder, begun.id) if begun else (folder, None)
    with start_run(store, experiment, run_name(config), flat(config), _tags(config, data, device), folder, adopt) as log:
        log_inputs(config, log, data, weights)
        trained = _train(config, data, weights, log)
        evidence = evaluate_and_log(config, data, weights, trained, log)
    for note in (*data.notes, *evidence.evaluation.notes):
        warn(note)
    return Finished(
        run_id=log.id,
        experiment_id=log.experiment_id,
        data=data,
        weights=weights,
        evaluation=evidence.evaluation,
        intervals=evidence.intervals,
        by_rule=evidence.rules,
        epochs=len(trained.history),
        device=device,
        folder=folder,
        is_uploaded=log.is_uploaded,
    )


def _device_notes(trainer: Trainer, device: str) -> list[str]:
    """What of the options that were typed has no effect, or another than was meant, on the device that was taken."""
    notes = []
    if device == "gpu" and trainer.jit and trainer.deterministic:
        notes.append("trainer.jit=true has no effect on a GPU with trainer.deterministic=true: TensorFlow leaves XLA out")
    if device == "cpu" and trainer.device == "auto" and runtime.unused_gpu():
        notes.append("trainer.device=auto took the CPU: there is an NVIDIA driver, but TensorFlow sees no GPU; install its libraries with make train EXTRA=gpu")
    if device == "cpu" and trainer.gpu_memory is not None:
        notes.append(f"trainer.gpu_memory={trainer.gpu_memory} has no effect: trainer.device=auto took the CPU")
    if device == "cpu" and trainer.precision != "float32":
        notes.append(f"trainer.precision={trainer.precision} is slower than float32 on a CPU, and no faster than it without units for 16 bits")
    return notes


def run_name(config: Config) -> str:
    """What sets a run apart from its neighbours at a glance."""
    return f"{config.weighting.name} · {config.loss.name} · {config.model.name} · seed {config.seed}"


@dataclass(frozen=True)
class Trained:
    """What a model that is trained leaves for its evaluation."""

    logits: Floats  # of the test split, as the model gave them
    validation_logits: Floats
    history: Sequence[dict[str, float]]
    shares: Mapping[str, Floats]  # what `audit` found: loss and gradient, at the start and at the end


def _train(config: Config, data: Prepared, weights: ClassWeights, log: Run) -> Trained:
    # Not before runtime.start: these import TensorFlow.
    from equipoise import training
    from equipoise.audit import audit
    from equipoise.data.feed import feature_batches, take

    model = training.build(config, data)
    predictor = training.Predictor(model)
    train, function = data.split("train"), training.loss_function(config, data)

    def shares(suffix: str, epoch: int) -> dict[str, Floats]:
        in_force = weights_at(weights.weights, share_at(config.weighting, epoch, config.trainer.epochs))
        found = audit(predictor, function, train.features, train.labels, in_force, config.dataset.labels)
        return {f"{name}_share{suffix}": values for name, values in asdict(found).items()}

    # Of several labels a sample, no one has the whole loss or gradient.
    at_start = {} if data.several_labels else shares("_start", 0)
    log.log_metrics(_by_class(data, at_start))
    history: list[dict[str, float]] = []
    with progress_bar(config.trainer.epochs) as advance:

        def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
            history.append(metrics)
            log.log_metrics(metrics, step=epoch)
            advance(metrics)

        training.fit(model, predictor, config, data, weights, on_epoch)
    at_end = {} if data.several_labels else shares("", len(history) - 1)
    log.log_metrics(_by_class(data, at_end))
    if config.trainer.second_stage != "none":
        from equipoise.second_stage import run_second_stage

        for name, values in run_second_stage(model, predictor, config, data).items():
            log.log_profile(f"second_stage/{name}", np.array(values))
    log.set_tag("weights_sha256", training.weights_sha256(model))
    log.log_model(model, next(feature_batches(take(train.features, np.arange(2)))), step=len(history))
    return Trained(predictor(data.split("test").features), predictor(data.split("validation").features), history, at_start | at_end)


def evaluate_and_log(config: Config, data: Prepared, weights: ClassWeights, trained: Trained, log: Run) -> Evidence:
    """All that is known of the predictions on the test split, logged."""
    return (_evaluate_labels if data.several_labels else _evaluate_classes)(config, data, weights, trained, log)


def _evaluate_classes(config: Config, data: Prepared, weights: ClassWeights, trained: Trained, log: Run) -> Evidence:
    from equipoise.data.feed import class_logits

    labels = np.asarray(data.split("test").labels)
    logits = class_logits(trained.logits)
    effective, target = effective_prior(weights, config.loss, config.trainer.second_stage, _sampling(config, data)), target_prior(config.dataset, data)
    costs = None if config.cost is None else cost_matrix(config.cost, data.classes)
    known = Known(np.asarray(data.split("validation").labels), class_logits(trained.validation_logits), effective, target, costs)
    rule = DECISIONS[config.decision.name]
    predicted = rule(known, **arguments(config.decision, rule, data.classes))(logits)
    by_rule = {}
    for name in applicable(known):
        decided = predicted if name == config.decision.name else DECISIONS[name](known, **BESIDE[name])(logits)
        by_rule[name] = decision_metrics(labels, decided, len(data.classes), costs)
    groups = frequency_groups(weights.counts, config.evaluation.groups)
    evaluation = evaluate(labels, logits, predicted, data.classes, groups, effective, target, costs)
    log_probabilities = {"": log_softmax(logits)}
    if effective is not None:
        log_probabilities["_corrected"] = move_prior(log_probabilities[""], effective, target)
    resamples = config.evaluation.resamples
    intervals = bootstrap(labels, predicted, log_probabilities, groups, resamples=resamples) if resamples else {}
    evidence = Evidence(
        name=run_name(config),
        data=data,
        weights=weights,
        optimizer=config.trainer.optimizer,
        labels=labels,
        log_probabilities=log_probabilities[""],
        corrected=log_probabilities.get("_corrected"),
        evaluation=evaluation,
        intervals={name: ends for name, ends in intervals.items() if name in evaluation.summary},
        rules=by_rule,
        history=trained.history,
        shares=trained.shares,
        warnings=_warnings(config, weights),
    )
    _log_numbers(log, evidence)
    _log_predictions(log, data, labels, predicted, log_probabilities[""])
    _log_tables(log, data, weights, evaluation)
    _log_pictures(log, evidence)
    return evidence


def _label_weights(config: Config, data: Prepared) -> ClassWeights:
    """The factor of each label's positives, which is what weights are where a sample may have several labels."""
    auto = config.weighting.name == "balanced" or getattr(config.loss, "pos_weight", None) == "auto"
    samples = len(data.split("train").labels)
    typed = arguments(config.loss, LOSSES["sigmoid"], data.classes)["pos_weight"]
    weights = positive_weights(data.counts.astype(np.float64), samples) if auto else np.broadcast_to(1.0 if typed is None else typed, data.counts.shape)
    return ClassWeights(data.classes, data.counts, np.array(weights, dtype=np.float64))


def _evaluate_labels(config: Config, data: Prepared, weights: ClassWeights, trained: Trained, log: Run) -> Evidence:
    from equipoise import figures

    validation, labels = (np.asarray(data.split(name).labels) for name in ("validation", "test"))
    logits, validation_logits = np.asarray(trained.logits, np.float64), np.asarray(trained.validation_logits, np.float64)
    metric = getattr(config.decision, "metric", "macro_f1")
    decided = {rule: (logits > multilabel.thresholds(rule, metric, validation, validation_logits)).astype(np.int64) for rule in ("argmax", "tuned")}
    predicted = decided[config.decision.name]
    evaluation = multilabel.evaluate(labels, logits, predicted, data.classes, data.counts)
    by_rule = {rule: multilabel.decision_metrics(labels, found) for rule, found in decided.items()}
    probabilities = 1 / (1 + np.exp(-logits))
    evidence = Evidence(
        name=run_name(config),
        data=data,
        weights=weights,
        optimizer=config.trainer.optimizer,
        labels=labels,
        log_probabilities=np.log(probabilities),
        corrected=None,
        evaluation=evaluation,
        intervals={},
        rules=by_rule,
        history=trained.history,
        shares={},
        warnings=[],
    )
    _log_numbers(log, evidence)
    kinds = {"label": labels, "predicted": predicted, "p": probabilities}
    columns = {f"{kind}({name})": values[:, index] for index, name in enumerate(data.classes) for kind, values in kinds.items()}
    _log_parquet(log, columns)
    _log_tables(log, data, weights, evaluation)
    log.log_figure(figures.precision_recall_curves(labels == 1, evidence.log_probabilities, evaluation, data), "evaluation/pr_curves.png")
    if trained.history:
        log.log_figure(figures.training_curves(trained.history), "evaluation/training_curves.png")
    log.log_figure(figures.what_the_weights_did(data, weights, evaluation, {}), "evaluation/what_the_weights_did.png")
    return evidence


def _warnings(config: Config, weights: ClassWeights) -> list[str]:
    """What cannot have the effect that was meant, and what is corrected twice."""
    return [*effect.warnings(config.weighting.name, weights, config.trainer.optimizer), *corrections.notes(config, weights)]


def _log_numbers(log: Run, evidence: Evidence) -> None:
    data, evaluation = evidence.data, evidence.evaluation
    log.log_metrics({f"test/{name}": value for name, value in evaluation.summary.items()})
    log.log_metrics({f"test/{name}_{end}": value for name, ends in evidence.intervals.items() for end, value in zip(("low", "high"), ends, strict=True)})
    log.log_metrics(_by_class(data, {f"test/{name}": values for name, values in evaluation.per_class.items()}))
    if not data.several_labels:
        log.log_metrics({"test/prediction_shift": evidence.prediction_shift})
    log.log_metrics({f"decision/{rule}/{name}": value for rule, metrics in evidence.rules.items() for name, value in metrics.items()})
    for name in ("recall", "precision", "f1"):
        _log_profile(log, data, name, evaluation.per_class[name])


def _sampling(config: Config, data: Prepared) -> Sampling | None:
    return sampling(config.dataset.sampling, data.split("train").labels, data.counts, config.trainer.epochs)


def log_inputs(config: Config, log: Run, data: Prepared, weights: ClassWeights) -> None:
    """What goes into training: the data, counts, weights, and what follows from them."""
    log.log_dataset(title_of(config.dataset), data.data_sha256, dict(zip(data.classes, data.counts.tolist(), strict=True)))
    by_class = {"weight": weights.weights, "count": weights.counts, "weight_share": weights.share}
    by_class |= {} if data.several_labels else _corrections(config, data, weights)
    log.log_metrics(
        {
            **_by_class(data, by_class),
            "weight_sample_mean": weights.sample_mean,
            "effective_sample_size": weights.effective_sample_size,
            "learning_rate_factor": effect.learning_rate_factor(weights, config.trainer.optimizer),
            **{f"reference/{name}": value for name, value in data.reference.items()},
        }
    )
    _log_profile(log, data, "weight", weights.weights)
    rows = zip(data.classes, weights.counts, weights.weights, weights.share, strict=True)
    table = {name: {"count": int(count), "weight": float(weight), "share": float(share)} for name, count, weight, share in rows}
    log.log_json(table, "weights.json")
    log.log_json({"sha256": data.data_sha256, "notes": list(data.notes)}, "data.json")
    for file in sorted((log.folder / ".hydra").glob("*.yaml")):
        log.log_file(file, "config")


def _log_predictions(log: Run, data: Prepared, labels: Any, predicted: Any, log_probabilities: Floats) -> None:
    names = np.array(data.classes)
    columns = {"label": names[labels], "predicted": names[predicted]}
    if len(names) <= by_rank.MOST_KEYED:
        columns |= {f"p({name})": column for name, column in zip(data.classes, np.exp(log_probabilities).T, strict=True)}
    else:
        columns["p(label)"] = np.exp(log_probabilities[np.arange(len(labels)), labels])
        for place, (top, probability) in enumerate(most_probable(log_probabilities, MOST_PROBABLE), start=1):
            columns |= {f"top_{place}": names[top], f"p(top_{place})": probability}
    _log_parquet(log, columns)


def _corrections(config: Config, data: Prepared, weights: ClassWeights) -> dict[str, Floats]:
    """What corrects the class balance beside the weights, and what comes of it all."""
    found: dict[str, Floats] = {}
    drawn = _sampling(config, data)
    effective = effective_prior(weights, config.loss, config.trainer.second_stage, drawn)
    if effective is not None:
        found["effective_prior"] = effective
    by_loss = corrections.loss_correction(config, weights)
    if by_loss is not None:
        found["correction"] = weights.weights * by_loss
    if drawn is not None:
        found |= {"sampling_ratio": drawn.ratio, "effective_weight": drawn.ratio * weights.weights}
    return found


def _log_parquet(log: Run, columns: Mapping[str, Any]) -> None:
    import pandas as pd

    file = log.folder / "evaluation" / "predictions.parquet"
    file.parent.mkdir(exist_ok=True)
    pd.DataFrame(columns).to_parquet(file, index=False)
    log.log_file(file, "evaluation")


def _log_tables(log: Run, data: Prepared, weights: ClassWeights, evaluation: Evaluation) -> None:
    order = data.head_to_tail
    columns: dict[str, list[Any]] = {"class": [data.classes[index] for index in order]}
    # MLflow compares the first column that is not the key: recall.
    columns |= {name: [None if np.isnan(value) else float(value) for value in values[order]] for name, values in evaluation.per_class.items()}
    columns |= {"count": weights.counts[order].tolist(), "weight": weights.weights[order].tolist()}
    log.log_table(columns, "evaluation/per_class.json")
    log.log_json(class_keys(data.classes), "evaluation/classes.json")


def _log_pictures(log: Run, evidence: Evidence) -> None:
    """Each picture for MLflow and, all together, in the report."""
    drawn = pictures(evidence)
    for name, figure in drawn.items():
        log.log_figure(figure, f"evaluation/{name}.png")
    log.log_image(drawn["confusion_matrix"], "confusion_matrix")
    file = log.folder / REPORT
    file.write_text(as_html(evidence, drawn), encoding="utf-8")
    log.log_file(file, "evaluation")


def _log_profile(log: Run, data: Prepared, name: str, values: Floats) -> None:
    """`profile/<name>`: a step a class, by rank from head to tail; of many classes the means of a hundred groups of ranks."""
    if len(data.classes) > by_rank.MOST_KEYED:
        found = by_rank.means(values, by_rank.groups(data.head_to_tail, by_rank.PROFILE_POINTS))
        log.log_profile(f"profile/{name}", np.array(list(found.values())))
    else:
        log.log_profile(f"profile/{name}", values[data.head_to_tail])


def _by_class(data: Prepared, metrics: dict[str, Any]) -> dict[str, float]:
    """`{"test/recall": array}` to `{"test/recall/<class>": value}`; of many classes to the means of ten groups of ranks."""
    if len(data.classes) > by_rank.MOST_KEYED:
        members = by_rank.groups(data.head_to_tail)
        found = {name: by_rank.means(np.asarray(values, np.float64), members) for name, values in metrics.items()}
        return {f"{name}/{ranks}": value for name, means in found.items() for ranks, value in means.items()}
    keys = class_keys(data.classes)
    return {f"{name}/{keys[label]}": float(values[index]) for name, values in metrics.items() for index, label in enumerate(data.classes)}


def _tags(config: Config, data: Prepared, device: str) -> dict[str, str]:
    tags = {
        "weighting": config.weighting.name,
        "loss": config.loss.name,
        "function": config.loss.function,
        "implementation": config.loss.implementation,
        "model": config.model.name,
        "dataset": config.dataset.name,
        "decision": config.decision.name,
        "seed": str(config.seed),
        "device": device,
        "config_sha256": config_sha256(config),
        "data_sha256": data.data_sha256,
        "mlflow.source.name": "src/train.py",
        "mlflow.runColor": PALETTE[list(STRATEGIES).index(config.weighting.name) % len(PALETTE)],
    }
    return tags if config.sweep == "auto" else {**tags, "sweep_id": config.sweep}
