"""How a configuration looks in every chart: the colour of its weighting, and a mark for the rest, first the loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from equipoise.comparison.compare import Comparison, Overall
from equipoise.comparison.configurations import Configuration
from equipoise.core.colors import weighting_color
from equipoise.reports.charts import LONGEST, SYMBOLS

FREE = "post hoc"  # the kind of the free control


@dataclass(frozen=True)
class Look:
    """The name, cut if it is very long, the colour `#rrggbb` and the Vega symbol of a configuration."""

    name: str
    color: str
    symbol: str


def looks(comparison: Comparison) -> dict[str, Look]:
    """Return the look of each configuration of all data sets, by its label, and by each of the labels that it joins."""
    found = [row.configuration for table in comparison.tables for row in table.rows]
    # Whatever the order of the rows: a circle is Keras's own class weights.
    kinds = sorted({_kind(one) for one in found}, key=lambda kind: (kind[0] != "class_weight", kind))
    symbols = {kind: SYMBOLS[place % len(SYMBOLS)] for place, kind in enumerate(kinds)}
    return {
        label: Look(cut(label), _color(one), symbols[_kind(one)])
        for one in found
        for label in dict.fromkeys((*one.labels, one.label))
    }


def looks_over_datasets(of_each: Mapping[str, Look], found: Sequence[Overall]) -> list[Look]:
    """Return looks over several data sets, where a label may join other configurations than on each of them."""
    return [replace(of_each[one.labels[0]], name=cut(one.label)) for one in found]


def cut(name: str) -> str:
    """Return the name as charts have it."""
    return name if len(name) <= LONGEST else name[:LONGEST] + "…"


def _color(configuration: Configuration) -> str:
    """Return the colour of the weighting; of configurations that trained the same bits, the first one's."""
    run = next(iter(configuration.runs.values()))
    return weighting_color(configuration.settings[0].get("weighting.name", run.params.get("weighting.name", "")))


def _kind(configuration: Configuration) -> tuple[str, ...]:
    """Return what sets a configuration apart besides its weighting."""
    run = next(iter(configuration.runs.values()))
    settings = configuration.settings[0]
    others = (f"{key}={value}" for key, value in settings.items() if key not in ("weighting.name", "loss.name"))
    loss = settings.get("loss.name", run.params.get("loss.name", ""))
    return (loss, *others, *([FREE] if configuration.rule else []))
