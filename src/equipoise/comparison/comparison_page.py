"""A comparison as one page: the verdict, and the questions that follow from it, in the order in which they come up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from equipoise.comparison import by_class, display, drawings, verdict
from equipoise.comparison.compare import FRONT, Comparison, Overall, Row, Table
from equipoise.comparison.display import words
from equipoise.comparison.looks import Look, looks, looks_over_datasets
from equipoise.comparison.splits import SAMPLES, TITLES
from equipoise.comparison.stored import Confusion, Curve
from equipoise.reports import page
from equipoise.reports.page import Block, Fact, Page, Part, Text

MOST_DRAWN = 24  # configurations in one chart, the best ones
MOST_CELLS = 12  # classes of a confusion matrix; of more, the pairs that changed most are listed
MOST_PAIRS = 15
WORST = "worst_class_recall"
MOST_DATASETS = 8  # with charts of their own; of more, each has its tables alone


@dataclass(frozen=True)
class Context:
    """What the page shows besides the comparison.

    Attributes
    ----------
    source : where the runs come from, as it was typed
    verdict : in a sentence
    facts : of the header
    confusions : by data set and configuration
    curves : by data set and configuration; of the metric `curve`
    """

    source: str
    verdict: str
    facts: Sequence[Fact] = ()
    confusions: Mapping[str, Mapping[str, Confusion]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    curve: str = ""


def as_page(comparison: Comparison, context: Context) -> Page:
    """Return the page: over all data sets first if there are several, then each of them."""
    of_each = looks(comparison)
    parts = [_over_all(comparison, of_each)] if comparison.overall else []
    for number, table in enumerate(comparison.tables):
        asked = _Asked(table, comparison.metric, context, of_each, drawn=number < MOST_DATASETS)
        parts += asked.questions() if len(comparison.tables) == 1 else asked.in_short()
    labels = dict.fromkeys(row.configuration.label for table in comparison.tables for row in _shown(table).rows)
    if parts and len(labels) > 1:
        entries = [(look.name, look.color, look.symbol) for look in map(of_each.__getitem__, labels)]
        parts[0] = Part(parts[0].title, [page.Legend(entries), *parts[0].blocks])
    notes = [
        Text(
            f"{context.source}. Headline metric: {words(comparison.metric)} of the {TITLES[comparison.split]}; every "
            "interval is a 95 % interval for the mean, over splits or folds; of one split, over its seeds.",
            "small",
        )
    ]
    titles = ", ".join(table.dataset for table in comparison.tables[:4])
    more = len(comparison.tables) - 4
    title = f"{titles} and {more} more data sets" if more > 0 else titles
    return Page("Comparison", title, [context.verdict], [*_sizes(comparison), *context.facts], notes, parts)


def _sizes(comparison: Comparison) -> list[Fact]:
    """Return what is known of the only data set's samples, and how many runs are compared."""
    runs = sum(len(row.configuration.runs) for table in comparison.tables for row in _configured(table.rows))
    configurations = len({row.configuration.label for table in comparison.tables for row in _configured(table.rows)})
    facts: list[Fact] = []
    if len(comparison.tables) == 1:
        table = comparison.tables[0]
        first = next(iter(table.rows[0].configuration.runs.values())).metrics
        judged = SAMPLES[comparison.split]
        sizes = [f"{first[f'samples/{name}']:,.0f} {name}" for name in ("train", judged) if f"samples/{name}" in first]
        classes = by_class.classes(table.rows[0].configuration)
        facts.append(("Data set", table.dataset))
        if sizes:
            facts.append(("Samples", ", ".join(sizes)))
        if classes:
            facts.append(("Classes", str(len(classes))))
    return [*facts, ("Compared", f"{configurations} configurations, {runs} runs")]


def _configured(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that are not of a control."""
    return [row for row in rows if row.configuration.rule is None]


def _shown(table: Table) -> Table:
    """Return the table of the best rows, and of all that these are compared with."""
    best = table.rows[:MOST_DRAWN]
    needed = {one.reference for row in best for one in (row.to_baseline, row.to_control) if one}
    rows = [row for row in table.rows if row in best or needed & {*row.configuration.labels}]
    return replace(table, rows=tuple(rows))


def _over_all(comparison: Comparison, of_each: Mapping[str, Look]) -> Part:
    blocks: list[Block] = []
    drawn = looks_over_datasets(of_each, comparison.overall[:MOST_DRAWN])
    if comparison.ranking is not None and len(drawn) == len(comparison.overall):
        blocks.append(drawings.critical_difference(comparison.ranking, drawn))
    blocks += [Text(line) for line in display.ranking_lines(comparison)]
    compared = [one for one in comparison.overall if one.to_baseline][:MOST_DRAWN]
    if compared:
        names = [table.dataset for table in comparison.tables]
        values = np.array([_apart(comparison, one) for one in compared])
        caption = f"{words(comparison.metric)} minus that of the baseline, by data set: blue is more, orange less"
        kept = looks_over_datasets(of_each, compared)
        blocks.append(drawings.heat_map(names, kept, values, caption, title="data set", what="difference"))
    blocks.append(page.Table(*display.overall_columns(comparison), f"{display.overall_title(comparison)}."))
    blocks += [Text(line) for line in display.overall_lines(comparison)]
    return Part("Over all data sets: which is best, and by how much?", blocks)


def _apart(comparison: Comparison, one: Overall) -> list[float]:
    """Return a configuration's difference to the baseline on each data set; NaN where there is none."""
    rows = [
        next(row for row in table.rows if {*one.labels} & {*row.configuration.labels}) for table in comparison.tables
    ]
    return [row.to_baseline.mean if row.to_baseline else np.nan for row in rows]


@dataclass(frozen=True)
class _Asked:
    """The questions about one data set.

    Attributes
    ----------
    drawn : whether it has charts
    """

    table: Table
    metric: str
    context: Context
    of_each: Mapping[str, Look]
    drawn: bool

    def questions(self) -> list[Part]:
        """Return each question with what answers it, without those that cannot be answered."""
        parts = [
            Part("Which is best, and by how much?", self._best()),
            Part("Which classes gain, which lose?", self._classes()),
            Part("Where did the mistakes go?", self._mistakes()),
            Part("How sure is it?", self._sure()),
            Part("Head against tail, and other metrics", self._apart()),
            Part("All numbers", self._numbers()),
            Part("All intervals", self._intervals()),
        ]
        return [part for part in parts if part.blocks]

    def in_short(self) -> list[Part]:
        """Return the questions of one of several data sets, which share a section: one of charts, one of tables."""
        said = Text(verdict.of_table(self.table, self.metric))
        charts = [*self._best(), *self._classes(), *self._sure(), *self._apart()] if self.drawn else []
        numbers = [*self._numbers(), *self._intervals()]
        if not charts:
            return [Part(self.table.dataset, [said, *numbers])]
        return [Part(self.table.dataset, [said, *charts]), Part(f"{self.table.dataset}: all numbers", numbers)]

    @property
    def _rows(self) -> list[Row]:
        return _configured(_shown(self.table).rows)

    def _best(self) -> list[Block]:
        blocks: list[Block] = []
        shown = _shown(self.table)
        if len(shown.rows) < len(self.table.rows):
            blocks.append(Text(f"The charts show the {MOST_DRAWN} best by {words(self.metric)}, and the baseline."))
        chart = drawings.forest(shown, self.metric, self.of_each)
        blocks.append(chart or drawings.runs(self._rows, self.metric, self.of_each))
        return blocks + [Text(note) for note in self.table.notes]

    def _classes(self) -> list[Block]:
        found = by_class.gains(_shown(self.table))
        if found is None:
            return []
        cells = [
            [row.configuration.label, *(display.signed(value) for value in values)]
            for row, values in zip(found.rows, found.gains, strict=True)
        ]
        chart = drawings.gains_map(found, self.of_each, self.table.dataset)
        return [chart, page.Table(["recall − baseline", *found.classes], cells)]

    def _mistakes(self) -> list[Block]:
        found = self.context.confusions.get(self.table.dataset, {})
        joined = {label: row.configuration.label for row in self.table.rows for label in row.configuration.labels}
        compared = [
            (row, found[row.configuration.label], found[joined[row.to_baseline.reference]])
            for row in self._rows
            if row.to_baseline and row.configuration.label in found and joined.get(row.to_baseline.reference) in found
        ]
        if not compared:
            return []
        names = {name for _, *both in compared for one in both for name in one.classes}
        order = by_class.in_order(names, self.table.rows[0].configuration)
        if len(order) <= MOST_CELLS:
            return [
                page.Beside(
                    [
                        drawings.mistakes(row.configuration.label, one, baseline, order)
                        for row, one, baseline in compared
                    ]
                )
            ]
        row, one, baseline = compared[0]
        headings, cells = _moved(one, baseline, order)
        label = row.configuration.label
        said = f"Where {label} and its baseline differ most, as shares of the true class, mean of the runs"
        return [page.Table(headings, cells, said)]

    def _sure(self) -> list[Block]:
        blocks: list[Block] = []
        if (
            any(row.to_baseline for row in self.table.rows)
            and max(len(row.configuration.runs) for row in self._rows) > 1
        ):
            blocks.append(drawings.runs(self._rows, self.metric, self.of_each))
        curves = self.context.curves.get(self.table.dataset)
        if curves:
            blocks.append(drawings.bands(curves, self.of_each, self.context.curve))
        return blocks

    def _apart(self) -> list[Block]:
        drawn = [
            drawings.head_against_tail(self._rows, self.of_each),
            *(drawings.metrics_apart(self._rows, self.of_each, name) for name in (*FRONT[1:], WORST)),
        ]
        found = [chart for chart in drawn if chart is not None]
        return [page.Beside(found)] if found and len(self._rows) > 1 else []

    def _numbers(self) -> list[Block]:
        blocks: list[Block] = [page.Table(*display.columns(self.table, self.metric), f"{display.title(self.table)}.")]
        if not self.drawn:
            blocks += [Text(note) for note in self.table.notes]
        headings, rows = display.rules(self.table, self.metric)
        if rows:
            blocks.append(page.Table(headings, rows, f"{display.rules_title(self.table, self.metric)}."))
        return blocks

    def _intervals(self) -> list[Block]:
        blocks: list[Block] = []
        headings, rows = display.difference_intervals(self.table)
        if rows:
            blocks.append(page.Table(headings, rows, f"Paired differences of {words(self.metric)}"))
        return [*blocks, page.Table(*display.intervals(self.table), "Means")]


def _moved(found: Confusion, baseline: Confusion, order: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return headings and the pairs of classes whose share differs most from the baseline's."""
    apart = drawings.confusion_difference(found, baseline, order)
    largest = np.argsort(-np.abs(apart), axis=None)[:MOST_PAIRS]
    cells = []
    for true, predicted in zip(*np.unravel_index(largest, apart.shape), strict=True):
        if apart[true, predicted]:
            kind = "right" if true == predicted else "mistake"
            cells.append([order[true], order[predicted], kind, display.signed(float(apart[true, predicted]))])
    return ["true class", "predicted", "", "share − baseline"], cells
