"""Who takes part in a race: the distinct methods, or the combinations of the values that are typed.

A candidate is a list of overrides. All candidates share the words that are typed with one value.
"""

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.types import Override

from equipoise.config.overrides import values_of
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, listing
from equipoise.methods.decisions import SHIPPED, Rule

# Cross-entropy inside the model's loss is the fastest of the three implementations, which agree to the bit.
PLAIN: Mapping[str, str] = {"weighting": "none", "loss": "custom", "dataset.sampling": "none"}
# What is plain where it is typed, and is not added where it is not.
UNTYPED: Mapping[str, str] = {"calibration": "none", "trainer.sharpness": "none", "trainer.second_stage": "none"}
CROSS_ENTROPY = ("custom", "class_weight", "sample_weight")
# The distinct ways, in the order in which they are tried.
METHODS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "balanced_softmax": {"loss": "balanced_softmax"},
    "power": {"weighting": "power"},
    "balanced": {"weighting": "balanced"},
    "effective_number": {"weighting": "effective_number", "weighting.beta": "auto"},
    "ldam_drw": {"loss": "ldam", "weighting": "effective_number", "weighting.schedule": "deferred"},
    "class_balanced": {"dataset.sampling": "class_balanced"},
    "focal": {"loss": "focal"},
}
# The race varies these itself.
REPETITION = ("seed", "dataset.split_seed", "dataset.fold", "dataset.folds")


@dataclass(frozen=True)
class Candidate:
    """One way to train.

    Attributes
    ----------
    label : short, for tables
    words : its overrides beside those that all candidates share
    """

    label: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """The candidates of a race, the baseline first.

    Attributes
    ----------
    given : overrides that all share
    typed : whether the user has named the candidates; otherwise those that do not fit the data are left out
    """

    given: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    typed: bool

    @property
    def baseline(self) -> Candidate:
        return self.candidates[0]


def field(overrides: Sequence[Override]) -> Field:
    """Return the candidates of the typed overrides; the last override of a key counts.

    Raises
    ------
    ConfigError
        If a key is typed that the race varies itself, or an interval.
    """
    latest = {override.key_or_group: override for override in overrides if not _is_of_hydra(override)}
    for key in REPETITION:
        if key in latest:
            raise ConfigError(f"{latest[key].input_line}: the race draws splits and seeds itself; leave {key} out")
    lists = {key: override for key, override in latest.items() if override.is_sweep_override()}
    _check(latest, lists)
    given = {key: str(override.input_line) for key, override in latest.items() if key not in lists}
    if lists:
        values = {key: [str(value) for value in values_of(override)] for key, override in lists.items()}
        ways = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    else:
        ways = [dict(way) for way in METHODS.values()]
    ways = [_whole(way, given) for way in ways]
    baseline = next((way for way in ways if _is_plain(way)), ways[0] | _whole({}, given))
    candidates = (_candidate(way) for way in [baseline, *ways])
    return Field(tuple(given.values()), tuple(dict.fromkeys(candidates)), bool(lists))


def _check(latest: Mapping[str, Override], lists: Mapping[str, Override]) -> None:
    for key in ("weighting", "dataset.sampling"):
        if key in latest and key not in lists and latest[key].value() != PLAIN[key]:
            line = latest[key].input_line
            raise ConfigError(f"{line} leaves nothing to compare with: type {key}={PLAIN[key]},{latest[key].value()}")
    rule = latest.get("decision")
    if rule is not None and "decision" not in lists:
        record = SHIPPED.get(str(rule.value()))
        why = None if record is None else _unraced(record)
        if why:
            decided = [str(each.input_line) for key, each in latest.items() if key.split(".")[0] == "decision"]
            raise ConfigError(
                f"{rule.input_line}: {why}; race without it, then judge what it finds: "
                f"{command('evaluate')} run=latest {shlex.join(decided)}"
            )
    for key, override in lists.items():
        if key.split(".")[0] == "decision":
            raise ConfigError(
                f"{override.input_line}: the race judges several rules of each training; type one at most"
            )
        if override.is_interval_sweep():
            raise ConfigError(f"{override.input_line}: a race is among listed values; type a list")


def _unraced(rule: Rule) -> str:
    """Return why a race cannot take the rule; empty if it can."""
    if rule.leaves_open:
        return "a race is by what the class of every row is worth, and this rule leaves rows open"
    if rule.constrains:
        return "a race is by its metric alone, so that a rule without this limit may win while it breaks it"
    return ""


def _is_of_hydra(override: Override) -> bool:
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"


def _whole(way: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the way to train with the plain methods' words added, without keys that the user has given one value."""
    fixed = {group for group in ("weighting", "loss") if group in given}  # whose options would be of another choice
    whole = {**PLAIN, **way}
    return {key: value for key, value in whole.items() if key not in given and key.split(".")[0] not in fixed}


def _is_plain(way: Mapping[str, str]) -> bool:
    return all(
        way.get(key, value) == value or (key == "loss" and way[key] in CROSS_ENTROPY)
        for key, value in {**PLAIN, **UNTYPED}.items()
    )


def _candidate(way: Mapping[str, str]) -> Candidate:
    named = [
        value
        for key, value in way.items()
        if {**PLAIN, **UNTYPED}.get(key) != value and not (key == "loss" and value in CROSS_ENTROPY)
    ]
    return Candidate(" · ".join(named) or "none", tuple(f"{key}={value}" for key, value in way.items()))


def left_out(reasons: Mapping[str, str]) -> str:
    """Return a sentence on the candidates that do not fit, by their label, with one reason each."""
    told = listing([f"{label} ({reason.splitlines()[0]})" for label, reason in reasons.items()])
    return f"not in the race: {told}"
