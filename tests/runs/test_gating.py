"""A file of gates, and the metrics of a run that it may name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.metrics.gates import Gate
from equipoise.metrics.slices import Slices, recall_by_slice
from equipoise.reports.evidence import Evidence
from equipoise.runs.gating import check_gates, read_gates
from examples import evidence


def gates(folder: Path, text: str) -> tuple[Gate, ...]:
    (folder / "gates.yaml").write_text(text, encoding="utf-8")
    return read_gates(str(folder / "gates.yaml"))


@pytest.fixture
def found() -> Evidence:
    """Three classes, the last without test samples, and the others in two slices."""
    one = evidence(3)
    sliced = Slices((), 0)

    class Halves:
        names, codes = ("odd", "even"), np.arange(len(one.labels)) % 2

    predicted = np.where(np.arange(len(one.labels)) % 2 == 0, one.labels, 2)
    sliced = recall_by_slice(one.labels, predicted, one.data.classes, {"half": Halves()})
    return replace(one, slices=sliced)


def test_lines_are_read_in_their_order(tmp_path: Path) -> None:
    text = "# for CI\n- recall/fraud >= 0.8\n- 'recall/a: b > 0.5'\n\n- test/ece < 0.1  # calibrated\n"
    assert gates(tmp_path, text) == (
        Gate("recall/fraud", ">=", 0.8),
        Gate("recall/a: b", ">", 0.5),
        Gate("ece", "<", 0.1),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty: write a gate a line, such as - recall/fraud >= 0.8"),
        ("[]", "is empty"),
        ("recall/fraud >= 0.8", "is no list"),
        ("- recall/a: b >= 0.8", "gate 1: {'recall/a': 'b >= 0.8'} is no gate"),
        ("- ece < 1\n- 7", "gate 2: 7 is no gate"),
        ("- [", "cannot be read as YAML"),
        ("- &a ece < 1\n- *a", "has an alias"),
        ("- !!python/object/apply:os.system ['true']", "cannot be read as YAML"),
        ("- ece < 1\n" * 200_000, "bytes: it is no list of gates"),
        ("- \x00", "cannot be read as YAML"),
    ],
)
def test_any_other_file_is_refused(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        gates(tmp_path, text)
    assert why in str(error.value)
    assert str(error.value).startswith(f"gates={tmp_path}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").touch()
    with pytest.raises(ConfigError, match=r"there is no such file; did you mean 'gates.yaml'"):
        read_gates(str(tmp_path / "gates.yml"))


def test_every_logged_metric_can_be_a_gate(found: Evidence) -> None:
    """Each kind of metric with its value, and its interval where it has one."""
    summary, per_class = found.evaluation.summary, found.evaluation.per_class
    name = "class number 1"
    values = {
        "macro_f1": (summary["macro_f1"], ""),
        "balanced_accuracy": (summary["balanced_accuracy"], "0.123 to 0.988"),
        "balanced_accuracy_low": (0.1234, ""),
        "prediction_shift": (found.prediction_shift, ""),
        "decision/argmax/mcc": (0.75, ""),
        f"precision/{name}": (per_class["precision"][1], ""),
        f"recall_low/{name}": (per_class["recall_low"][1], ""),
        f"recall/{name}": (
            per_class["recall"][1],
            f"{per_class['recall_low'][1]:.3f} to {per_class['recall_high'][1]:.3f}",
        ),
        f"recall/{name}/half=odd": (1.0, "0.796 to 1.000"),
        f"recall/{name}/half=even": (0.0, "0.000 to 0.204"),
        f"recall_low/{name}/half=odd": (0.796, ""),
    }
    for metric, (value, interval) in values.items():
        (one,) = check_gates((Gate(metric, ">=", 0.0),), found)
        assert one.measured.value == pytest.approx(value, abs=1e-3), metric
        assert one.measured.interval == interval, metric
    mcc = "decision/argmax/mcc"
    both = check_gates((Gate(mcc, ">=", 0.99), Gate(mcc, "<", 1)), found)
    assert [one.is_passed for one in both] == [False, True]
    assert check_gates((), found) == []


@pytest.mark.parametrize("metric", ["recall/class number 2", "recall/class number 2/half=odd"])
def test_a_class_without_test_samples_cannot_be_judged(metric: str, found: Evidence) -> None:
    for sign in (">=", "<"):
        with pytest.raises(ConfigError, match=f"the metric '{metric}' is not defined on these test samples"):
            check_gates((Gate(metric, sign, 0.5),), found)


def test_a_class_has_its_own_name_or_that_of_mlflow() -> None:
    """`a/b` is `a_b` in MLflow, unless another class is called so."""
    two = evidence(2)
    recall = two.evaluation.per_class["recall"].copy()
    recall[:] = 0.25, 0.75
    named = {**two.evaluation.per_class, "recall": recall}

    def value(classes: tuple[str, str], metric: str) -> float:
        data = replace(two.data, classes=classes)
        one = replace(two, data=data, evaluation=replace(two.evaluation, per_class=named))
        return check_gates((Gate(metric, ">=", 0),), one)[0].measured.value

    assert value(("a/b", "c"), "recall/a/b") == value(("a/b", "c"), "recall/a_b") == 0.25
    assert value(("a/b", "a_b"), "recall/a_b") == 0.75
