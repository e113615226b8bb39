"""The step `log`, from the verdict on: what the evaluation of a model leaves in MLflow, and its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from equipoise.core.clock import clock
from equipoise.core.schema import BEST
from equipoise.core.terminal import note
from equipoise.data.prepared import Prepared
from equipoise.methods.deciders import as_json
from equipoise.methods.tasks.task import Logits, Verdict
from equipoise.metrics import probabilities
from equipoise.metrics.gates import Checked
from equipoise.metrics.intervals import Interval
from equipoise.metrics.slices import Slices
from equipoise.reports import run_page
from equipoise.reports.evidence import ByRule, Evidence
from equipoise.reports.prior_table import EstimatedPrior
from equipoise.runs.again import Again
from equipoise.runs.estimate_prior import TABLE, TAG
from equipoise.runs.evaluate import REFITTED, Evaluated, without_intervals
from equipoise.runs.log import log_profiles, set_json_tag
from equipoise.tracking import history, keys
from equipoise.tracking.artifacts import INTERVALS, PER_CLASS
from equipoise.tracking.run import Run
from equipoise.training.earlier import Length
from equipoise.training.trained import Trained

# Values of each class that are metrics, and those that are lines over the classes; the table has all.
KEYED = ("recall", "precision", "f1", "average_precision", "coverage", "error_decided", "set_coverage")
PROFILES = ("recall", "precision", "f1", "auroc", "predicted_share")
HEADLINES = ("balanced_accuracy", "macro_f1", "mcc", "worst_class_recall", "log_loss")  # whose intervals are metrics
SHOWN = ("/balanced_accuracy", "/macro_f1", "/expected_cost")  # of the decision rules, as metrics
# Below the run's folder.
SLICES = "evaluation/slices"
GATES = "evaluation/gates.json"
PREDICTIONS = "evaluation/predictions.parquet"
DECISION = "evaluation/decision.json"
PROBABILITIES = "evaluation/probabilities.json"
CALIBRATION = "evaluation/calibration.json"
SOURCE = "evaluation/validation.npz"
EARLIER = "evaluation/earlier.json"
LENGTHS, MOST_BYTES = "evaluation/earlier.npz", 8_000_000


@clock.part("evaluate")
def log_evaluation(log: Run, found: Evaluated) -> None:
    """Log all that is known of the predictions on the test split, but for its pictures."""
    evidence, verdict = found.evidence, found.verdict
    _log_numbers(log, evidence)
    _log_intervals(log, {"test": verdict.intervals, "val": verdict.validation_intervals})
    _log_rules(log, {"": evidence.rules, "val/": evidence.validation_rules}, found.rule)
    _log_earlier(log, found)
    _log_parquet(log, {**verdict.predictions, **found.origins})
    _log_tables(log, found)
    if evidence.slices is not None:
        _log_slices(log, evidence.slices)


def _log_slices(log: Run, slices: Slices) -> None:
    """Log the recall of each class and slice, as a table of MLflow and as CSV, the lowest first; tag the run."""
    import pandas as pd

    found = slices.with_samples
    columns: dict[str, list[Any]] = {
        "class": [one.label for one in found],
        "slice": [one.where for one in found],
        "recall": [one.recall for one in found],
        "recall_low": [one.low for one in found],
        "recall_high": [one.high for one in found],
        "n": [one.support for one in found],
        "recall_elsewhere": [_or_none(one.rest) for one in found],
        "n_elsewhere": [one.rest_support for one in found],
        "p": [_or_none(one.p) for one in found],
        "p_holm": [_or_none(one.adjusted) for one in found],
        "against_elsewhere": [one.finding for one in found],
    }
    log.log_table(columns, f"{SLICES}.json")
    log.log_text(pd.DataFrame(columns).to_csv(index=False), f"{SLICES}.csv")
    log.set_tag("slices", ", ".join(slices.columns))


def log_gates(log: Run, gates: Sequence[Checked]) -> None:
    """Log each gate with the value that was measured, and as a tag whether all are passed; nothing without gates."""
    if not gates:
        return
    found = [{"gate": str(one.gate), "value": one.measured.value, "passed": one.is_passed} for one in gates]
    log.log_json(found, GATES)
    log.set_tag("gates", "passed" if all(one.is_passed for one in gates) else "failed")


def log_prior(log: Run, prior: EstimatedPrior | None) -> None:
    """Log class frequencies that were estimated, and tag the run with what they are of; nothing without any."""
    if prior is not None:
        log.log_json(prior.as_data(), TABLE)
        log.set_tag(TAG, prior.told)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


@clock.part("pictures")
def draw_and_log(evidence: Evidence, log: Run, *, with_pictures: bool = True) -> None:
    """Draw and log the pictures and the report."""
    log_drawn(run_page.draw(evidence, log.folder, with_pictures=with_pictures), log)


def log_drawn(files: Sequence[str], log: Run) -> None:
    """Log what `run_page.draw` has left in the run's folder."""
    for file in files:
        log.log_placed(file)
    if run_page.CONFUSION in files:
        log.log_image(run_page.CONFUSION, "confusion_matrix")


def _log_numbers(log: Run, evidence: Evidence) -> None:
    data, evaluation = evidence.data, evidence.evaluation
    log.log_metrics(_headlines(evidence))
    log.log_metrics({f"test/{name}": value for name, value in evaluation.summary.items()})
    log.log_metrics({"samples/test": len(evidence.labels)})
    keyed = [name for name in KEYED if name in evaluation.per_class]
    log.log_metrics(keys.by_class(data, {f"test/{name}": evaluation.per_class[name] for name in keyed}))
    if evidence.labels.ndim == 1:
        log.log_metrics({"test/prediction_shift": evidence.prediction_shift})
    log_profiles(log, data, {name: evaluation.per_class[name] for name in PROFILES})
    log_profiles(log, data, {name: values for name, values in evidence.shares.items() if not name.endswith("_start")})


def _headlines(evidence: Evidence) -> dict[str, float]:
    """Return the metrics that runs are compared by, each beside the ends of its interval."""
    found: dict[str, float] = {}
    for name in HEADLINES:
        if name in evidence.evaluation.summary:
            found[f"test/{name}"] = evidence.evaluation.summary[name]
        if name in evidence.intervals:
            found |= {f"test/{name}_{end}": getattr(evidence.intervals[name], end) for end in ("low", "high")}
    return found


def _log_intervals(log: Run, by_split: Mapping[str, Mapping[str, Interval]]) -> None:
    """Log the ends of every interval as JSON."""
    found = {split: {name: asdict(one) for name, one in intervals.items()} for split, intervals in by_split.items()}
    log.log_json(found, INTERVALS)


def _log_rules(log: Run, by_split: Mapping[str, ByRule], configured: str) -> None:
    """Log what each decision rule makes of the same logits.

    All of it is one tag, which comparisons read back as the metrics `decision/<rule>/<metric>` and
    `val/decision/<rule>/<metric>`; metrics of MLflow are only the headlines of the rules beside the configured one.
    """
    metrics = {
        f"{where}decision/{rule}/{name}": value
        for where, rules in by_split.items()
        for rule, found in rules.items()
        for name, value in found.items()
    }
    if set_json_tag(log, history.RULES, by_split):
        others = tuple(f"decision/{rule}/" for rule in by_split[""] if rule != configured)
        metrics = {key: value for key, value in metrics.items() if key.startswith(others) and key.endswith(SHOWN)}
    log.log_metrics(metrics)


def _log_earlier(log: Run, evaluated: Evaluated) -> None:
    """Log what each decision rule makes of the model after fewer epochs: a table, and headlines by epoch as metrics.

    Its logits go beside them, where they are few megabytes.
    """
    evidence = evaluated.evidence
    for length, (rules, _) in evidence.earlier.items():
        where, epochs = ("earlier", length) if isinstance(length, int) else (f"earlier/{length}", evidence.best)
        found = {f"{where}/{rule}/{name}": value for rule, values in rules.items() for name, value in values.items()}
        log.log_metrics({key: value for key, value in found.items() if key.endswith(SHOWN)}, step=epochs)
    if evidence.earlier:
        by_epochs = {
            str(length): {"test": test, "val": val, **({"epochs": evidence.best} if length == BEST else {})}
            for length, (test, val) in evidence.earlier.items()
        }
        log.log_json(by_epochs, EARLIER)
        _log_lengths(log, evaluated.lengths)


def _log_lengths(log: Run, lengths: Mapping[Length, Logits]) -> None:
    """Log the logits by the number of epochs, float32 (n, logits): `test_<epochs>` and `validation_<epochs>`."""
    arrays = {f"test_{epochs}": np.asarray(found.test, np.float32) for epochs, found in lengths.items()}
    arrays |= {f"validation_{epochs}": np.asarray(found.validation, np.float32) for epochs, found in lengths.items()}
    size = sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES:
        note(f"{LENGTHS} is left out: logits of {len(lengths)} lengths of training are {size / 1e6:.0f} MB")
        return
    np.savez(log.folder / LENGTHS, allow_pickle=False, **arrays)
    log.log_placed(LENGTHS)


def _log_parquet(log: Run, columns: Mapping[str, Any]) -> None:
    """Log a row for each test sample."""
    import pandas as pd

    file = log.folder / PREDICTIONS
    file.parent.mkdir(exist_ok=True)
    pd.DataFrame(columns).to_parquet(file, index=False)
    log.log_file(file, "evaluation")


def _log_tables(log: Run, found: Evaluated) -> None:
    evidence, data = found.evidence, found.evidence.data
    weights, per_class, order = evidence.weights, dict(evidence.evaluation.per_class), data.head_to_tail
    if evidence.is_training_known:
        per_class |= {"weight_share": weights.share, **evidence.shares, **found.corrections}
    columns: dict[str, list[Any]] = {"class": [data.classes[index] for index in order]}
    # MLflow compares the first column that is not the key: recall.
    columns |= {
        name: [None if np.isnan(value) else float(value) for value in values[order]]
        for name, values in per_class.items()
    }
    if evidence.is_training_known:
        columns |= {"count": weights.counts[order].tolist(), "weight": weights.weights[order].tolist()}
    log.log_table(columns, PER_CLASS)
    log.log_json(keys.class_keys(data.classes), "evaluation/classes.json")
    if evidence.evaluation.probabilities:
        log.log_json(_finite(evidence.evaluation.probabilities), CALIBRATION)
    log_served(log, found.verdict)


def _finite(by_kind: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the measures that are defined."""
    return {
        kind: {name: value for name, value in found.items() if not np.isnan(value)} for kind, found in by_kind.items()
    }


def log_rule(again: Again, log: Run, trained: Trained, judged: Prepared) -> str:
    """Log the decision rule and the probabilities of the model that has learned from all rows.

    They go by the prior that it learned under. What the rule tunes it tunes on the judged model's validation logits.

    Parameters
    ----------
    trained, judged : the model that is judged, and its data

    Returns
    -------
    In a sentence, which rows the two models have learned from.
    """
    logits = Logits(trained.logits, trained.validation_logits)
    log_served(log, without_intervals(again.config, again.data, again.weights, logits, (REFITTED,)))
    first = len(judged.split("train").labels)
    return f"model: trained once more on all {again.rows:,} rows; figures are of the training on {first:,}"


def log_served(log: Run, verdict: Verdict) -> None:
    """Log what makes predictions of the model's logits, and validation rows, by which class frequencies are estimated.

    The first is the decision rule and the probabilities.
    """
    log.log_json(as_json(verdict.decide), DECISION)
    log.log_json(probabilities.as_json(verdict.probabilities), PROBABILITIES)
    if verdict.source is not None:
        verdict.source.save(log.folder / SOURCE)
        log.log_placed(SOURCE)
