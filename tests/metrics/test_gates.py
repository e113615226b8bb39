"""Lines of gates: read, refused and checked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.core.errors import ConfigError
from equipoise.metrics.gates import Checked, Gate, Measured, check, read_gate

VALUES = {
    "recall/fraud": Measured(0.79996, "0.700 to 0.850"),
    "recall/very rare": Measured(0.5),
    "recall/<=50K": Measured(0.9),
    "recall/none": Measured(float("nan")),
    "macro_f1": Measured(0.6),
    "recall/fraud/country=DE": Measured(0.7),
}


def checked(*lines: str) -> list[Checked]:
    return check([read_gate(line, "gate") for line in lines], VALUES, ["country"])


@pytest.mark.parametrize(
    ("line", "gate"),
    [
        ("recall/fraud >= 0.8", Gate("recall/fraud", ">=", 0.8)),
        ("test/recall/fraud>=.8", Gate("recall/fraud", ">=", 0.8)),
        ("  recall/very rare  <  1e-2 ", Gate("recall/very rare", "<", 0.01)),
        ("recall/<=50K > 0.5", Gate("recall/<=50K", ">", 0.5)),
        ("recall/fraud/country=DE >= 0.7", Gate("recall/fraud/country=DE", ">=", 0.7)),
        ("mcc > -0.1", Gate("mcc", ">", -0.1)),
    ],
)
def test_a_line_is_read(line: str, gate: Gate) -> None:
    assert read_gate(line, "") == gate


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("recall/fraud", "is no gate: expected METRIC >= NUMBER"),
        ("recall/fraud == 0.8", "is no gate"),
        ("recall/fraud >= 80%", "'80%' is no number"),
        ("recall/fraud >= nan", "'nan' is no number"),
        ("recall/fraud >= inf", "'inf' is no number"),
        ("recall/fraud >= 1e400", "'1e400' is no number"),
        ("recall/fraud >= 1_0", "'1_0' is no number"),
        ("recall/fraud >= __import__('os')", "is no number"),
        (">= 0.8", "is no gate"),
        ("", "is no gate"),
        (0.8, "is no gate"),
        ({"recall/a": ">= 0.8"}, "put the line in quotes"),
    ],
)
def test_a_malformed_line_is_refused(line: object, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_gate(line, "gates.yaml, gate 2")
    assert str(error.value).startswith("gates.yaml, gate 2: ")
    assert why in str(error.value)


def test_each_operator_at_its_threshold() -> None:
    lines = [f"macro_f1 {sign} 0.6" for sign in (">=", "<=", ">", "<")]
    assert [one.is_passed for one in checked(*lines)] == [True, True, False, False]


def test_a_value_is_told_with_as_many_digits_as_decide() -> None:
    (one,) = checked("recall/fraud >= 0.8")
    assert not one.is_passed, "0.79996 is not rounded before it is compared"
    assert one.told == "recall/fraud >= 0.8: 0.79996, 95 % from 0.700 to 0.850"
    assert checked("recall/fraud >= 0.7")[0].value == "0.800"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("recall/frau >= 0.8", "there is no metric 'recall/frau' here; did you mean 'recall/fraud'?"),
        ("recall/none >= 0", "the metric 'recall/none' is not defined on these test samples"),
        ("recall/none < 1", "the gate cannot be judged"),
        ("recall/fraud/contry=DE >= 0", "did you mean 'recall/fraud/country=DE'?; slices=COLUMN measures"),
        ("recall/x/age=3 >= 0", "slices=COLUMN measures recall/CLASS/COLUMN=SLICE (typed: country)"),
    ],
)
def test_what_cannot_be_judged_is_an_error(line: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        checked("macro_f1 >= 0.1", line)
    assert why in str(error.value)


@given(st.text(max_size=40))
def test_any_text_is_a_gate_or_refused(line: str) -> None:
    try:
        gate = read_gate(line, "gates.yaml, gate 1")
    except ConfigError as error:
        told = str(error)
    else:
        told = repr(gate)
        assert np.isfinite(gate.threshold)
    assert told.isprintable()
