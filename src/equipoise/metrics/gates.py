"""Gates: thresholds that metrics must keep, such as `recall/fraud >= 0.8`. Lines of text are read, and never run."""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from equipoise.core.errors import ConfigError, suggestion
from equipoise.core.typed import NUMBER

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
# The metric may hold any of these signs, as the class `<=50K` does: what follows the last of them is the threshold.
LINE = re.compile(r"(?P<metric>.+?)\s*(?P<operator>>=|<=|>|<)\s*(?P<threshold>[^<>=\s]+)\s*")
FORM = "expected METRIC >= NUMBER, or with <=, > or <, such as recall/fraud >= 0.8"
SPLIT = "test/"  # with which MLflow's keys begin
MOST_DIGITS = 17


@dataclass(frozen=True)
class Gate:
    """One line: a metric, an operator and a threshold."""

    metric: str
    operator: str
    threshold: float

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {self.threshold:.12g}"


@dataclass(frozen=True)
class Measured:
    """A metric's value.

    Attributes
    ----------
    value : NaN if it is not defined
    interval : its 95 % interval in words; "" if there is none
    """

    value: float
    interval: str = ""


@dataclass(frozen=True)
class Checked:
    """A gate and what was measured."""

    gate: Gate
    measured: Measured

    @property
    def is_passed(self) -> bool:
        """Whether the value keeps the threshold; an undefined value does not."""
        return OPERATORS[self.gate.operator](self.measured.value, self.gate.threshold)

    @property
    def value(self) -> str:
        """The value, with as many digits as show on which side of the threshold it is."""
        value, keeps = self.measured.value, OPERATORS[self.gate.operator]
        told = [f"{value:.{digits}f}" for digits in range(3, MOST_DIGITS)]
        return next((text for text in told if keeps(float(text), self.gate.threshold) == self.is_passed), repr(value))

    @property
    def told(self) -> str:
        """The gate and what was measured, in a line."""
        interval = f", 95 % from {self.measured.interval}" if self.measured.interval else ""
        return f"{self.gate}: {self.value}{interval}"


def read_gate(line: object, where: str) -> Gate:
    """Read one line.

    Parameters
    ----------
    where : as messages begin: `gates.yaml, line 3`

    Raises
    ------
    ConfigError
        If it is no gate.
    """
    if not isinstance(line, str):
        quotes = "; put the line in quotes" if isinstance(line, Mapping) else ""
        raise ConfigError(f"{where}: {line!r} is no gate: {FORM}{quotes}")
    found = LINE.fullmatch(line.strip())
    if found is None:
        raise ConfigError(f"{where}: {line!r} is no gate: {FORM}")
    threshold = found["threshold"]
    if not NUMBER.fullmatch(threshold) or not math.isfinite(float(threshold)):
        raise ConfigError(f"{where}: {line!r}: {threshold!r} is no number")
    return Gate(found["metric"].removeprefix(SPLIT), found["operator"], float(threshold))


def check(gates: Sequence[Gate], measured: Mapping[str, Measured], sliced: Sequence[str]) -> list[Checked]:
    """Return each gate with what was measured.

    Parameters
    ----------
    measured : by the metric's key, without `test/`
    sliced : columns by whose slices recalls were measured

    Raises
    ------
    ConfigError
        If a metric is unknown or not defined: a gate that cannot be judged is not passed over.
    """
    for gate in gates:
        if gate.metric not in measured:
            by_slice = "=" in gate.metric.rpartition("/")[2]
            hint = f"; slices=COLUMN measures recall/CLASS/COLUMN=SLICE (typed: {', '.join(sliced) or 'none'})"
            raise ConfigError(
                f"gates: '{gate}': there is no metric '{gate.metric}' here{suggestion(gate.metric, list(measured))}"
                f"{hint if by_slice else ''}"
            )
        if measured[gate.metric].value != measured[gate.metric].value:
            raise ConfigError(
                f"gates: '{gate}': the metric '{gate.metric}' is not defined on these test samples, "
                "which have none of that class or slice: the gate cannot be judged"
            )
    return [Checked(gate, measured[gate.metric]) for gate in gates]
