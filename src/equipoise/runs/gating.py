"""The gates of a file, checked against all that was measured on the test split."""

from collections.abc import Iterator

import numpy as np
import yaml

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats
from equipoise.data.paths import existing_file
from equipoise.metrics.gates import Checked, Gate, Measured, check, read_gate
from equipoise.metrics.intervals import Interval
from equipoise.reports.evidence import Evidence
from equipoise.tracking.keys import class_keys

MOST_BYTES = 1 << 20


def read_gates(path: str) -> tuple[Gate, ...]:
    """Read a YAML list of lines such as `recall/fraud >= 0.8`.

    Raises
    ------
    ConfigError
        If it is anything else, or empty.
    """
    file = existing_file(path, "gates")
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"gates={path} has more than {MOST_BYTES:,} bytes: it is no list of gates")
        content = file.read_text(encoding="utf-8-sig")
        # A few aliases, each of the one before it, stand for more than memory holds.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(content)):
            raise ConfigError(f"gates={path} has an alias (*): put the line in quotes")
        lines = yaml.safe_load(content)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = " ".join(str(error).split())
        raise ConfigError(f"gates={path} cannot be read as YAML: {reason}; lines with signs need quotes") from None
    if not isinstance(lines, list) or not lines:
        what = "is empty" if lines in (None, []) else "is no list"
        raise ConfigError(f"gates={path} {what}: write a gate a line, such as - recall/fraud >= 0.8")
    return tuple(read_gate(line, f"gates={path}, gate {number}") for number, line in enumerate(lines, start=1))


def check_gates(gates: tuple[Gate, ...], evidence: Evidence) -> list[Checked]:
    """Return each gate with what was measured.

    Raises
    ------
    ConfigError
        If a gate cannot be judged.
    """
    if not gates:
        return []
    columns = evidence.slices.columns if evidence.slices else []
    return check(gates, dict(_measured(evidence)), columns)


def _measured(evidence: Evidence) -> Iterator[tuple[str, Measured]]:
    """Yield every metric by its key without `test/`; names of classes as in the data or as MLflow has them."""
    evaluation = evidence.evaluation
    for split, by_rule in (("", evidence.rules), ("val/", evidence.validation_rules)):
        for rule, metrics in by_rule.items():
            yield from ((f"{split}decision/{rule}/{name}", Measured(value)) for name, value in metrics.items())
    for name, value in evaluation.summary.items():
        yield name, Measured(value, str(evidence.intervals.get(name, "")))
    for name, ends in evidence.intervals.items():
        yield from ((f"{name}_{end}", Measured(getattr(ends, end))) for end in ("low", "high"))
    if evidence.labels.ndim == 1:
        yield "prediction_shift", Measured(evidence.prediction_shift)
    classes = evidence.data.classes
    keys = class_keys(classes)
    # Where a class has the name that MLflow gives another one, its own name counts: it is the last.
    for names in ([keys[label] for label in classes], classes):
        for index, label in enumerate(names):
            for metric, values in evaluation.per_class.items():
                yield (
                    f"{metric}/{label}",
                    Measured(float(values[index]), _interval(metric, evaluation.per_class, index)),
                )
    for one in evidence.slices.recalls if evidence.slices else ():
        interval = str(Interval(one.low, one.high)) if one.support else ""
        yield f"recall/{one.label}/{one.where}", Measured(one.recall, interval)
        yield f"recall_low/{one.label}/{one.where}", Measured(one.low)


def _interval(metric: str, per_class: "dict[str, Floats]", index: int) -> str:
    ends = [per_class[f"{metric}_{end}"][index] for end in ("low", "high") if f"{metric}_{end}" in per_class]
    return str(Interval(float(ends[0]), float(ends[1]))) if ends and not np.isnan(ends).any() else ""
