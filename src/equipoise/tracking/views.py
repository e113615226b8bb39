"""Saved views of MLflow's page of an experiment: its charts and table, as the JSON that the page reads.

The format is MLflow's own and no public interface; it works with 3.17, which pyproject.toml pins. This module knows
nothing of the store: a tag of the experiment holds a view, and `make ui VIEW=experiment/key` opens it.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TAG = "mlflow.sharedViewState."
HEADLINE = (
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "worst_class_recall",
    "log_loss",
    "expected_cost",
    "micro_f1",
    "hamming_loss",
)
DIFFERENCE = "difference/"
PROFILES = ("profile/recall", "profile/precision", "profile/f1", "profile/weight")
WHAT_THE_WEIGHTS_DID = ("profile/weight_share", "profile/loss_share", "profile/gradient_share")
TRAINING = ("val/balanced_accuracy", "val/macro_f1", "val/log_loss", "train/loss")
AT_ONCE = 100  # runs that are drawn; of more runs the first 20
IN_ALL_VIEWS = {
    "isAccordionReordered": True,  # else the sections would be sorted by name
    "autoRefreshEnabled": True,
    "hideEmptyCharts": True,
    "chartsSearchFilter": "",
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "columnOrder": [],
    "columnWidths": {},
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
    "groupsExpanded": {},
    "viewMaximized": True,
    "runListHidden": False,
}


@dataclass(frozen=True)
class View:
    """A saved view of an experiment's page.

    Attributes
    ----------
    key : word that tells it apart in its experiment
    name : as the page lists it
    condition : MLflow filter of the runs that it shows
    params : dotted keys of those that differ between the runs
    by : params that the runs are grouped by
    means : whether charts draw the groups' means instead of their runs
    baseline : id and name of the run that the others are compared with
    classes : keys of the classes that have metrics, from head to tail
    """

    key: str
    name: str
    condition: str
    params: Sequence[str]
    by: Sequence[str] = ()
    means: bool = False
    baseline: tuple[str, str] | None = None
    classes: Sequence[str] = ()


# Finished runs. Summaries of sweeps have no weighting, and are left out.
FINISHED = "tags.weighting LIKE '%' and attributes.status = 'FINISHED'"


def of_experiment(baseline: tuple[str, str] | None = None) -> View:
    """Return the view of all finished runs of an experiment."""
    return View(
        "comparison", "All runs", FINISHED, ("weighting.name", "loss.name", "model.name", "seed"), baseline=baseline
    )


def condition_of_sweep(sweep: str) -> str:
    """Return MLflow's filter of a sweep's finished runs."""
    return f"tags.sweep_id = '{sweep}' and {FINISHED}"


def of_sweep(
    sweep: str, configuration: Sequence[str], repetition: Sequence[str], baseline: tuple[str, str] | None = None
) -> list[View]:
    """Return the views of a sweep, that of the configurations' means first, if they are repeated, and that of all runs.

    Parameters
    ----------
    configuration : params that tell the sweep's configurations apart
    repetition : params that tell repetitions of one configuration apart: seed, split
    """
    condition = condition_of_sweep(sweep)
    params = (*configuration, *repetition)
    if not (configuration and repetition):
        return [View(sweep, f"Sweep {sweep}", condition, params, baseline=baseline)]
    over = " and ".join(repetition)
    named = f"Sweep {sweep}"
    return [
        View(sweep, f"{named}, means over {over}", condition, params, configuration, means=True, baseline=baseline),
        View(f"{sweep}-runs", f"{named}, every run", condition, params, configuration, baseline=baseline),
    ]


def tag(view: View, metrics: Mapping[str, float], runs: int) -> tuple[str, str]:
    """Return the key and the value of the experiment's tag that holds the view.

    Parameters
    ----------
    metrics : all that any of the runs has logged, with the value of one run
    runs : number of the runs
    """
    now = int(time.time() * 1000)
    return TAG + view.key, json.dumps(
        {"name": view.name, "createdAt": now, "updatedAt": now, "state": json.dumps(_state(view, metrics, runs))}
    )


@dataclass(frozen=True)
class _Section:
    """A section of the page: its title, the cards in a row, a card's height in pixels, and the cards."""

    title: str
    columns: int
    height: int
    cards: Sequence[dict[str, Any]]


def _state(view: View, metrics: Mapping[str, float], runs: int) -> dict[str, Any]:
    shown = [name for name in HEADLINE if f"test/{name}" in metrics]
    sections = _sections(view, metrics, shown, runs)
    charts = [
        {**_card(f"{index}", number), **card}
        for index, section in enumerate(sections)
        for number, card in enumerate(section.cards)
    ]
    drawn = {chart.get("metricKey") for chart in charts}
    # MLflow adds a chart for every other metric; these come below, and are closed until they are asked for.
    others = sorted({key.rpartition("/")[0] or "Model metrics" for key in metrics if key not in drawn})
    return {
        "compareRunSections": [
            *(_opened(f"{index}", section) for index, section in enumerate(sections)),
            *({"uuid": name, "name": name, "display": False, "isReordered": True} for name in others),
        ],
        "compareRunCharts": charts,
        **_listing(view, metrics, shown, runs),
        **IN_ALL_VIEWS,
    }


def _sections(view: View, metrics: Mapping[str, float], shown: Sequence[str], runs: int) -> list[_Section]:
    """Return the sections that have a card, from top to bottom."""
    each_run = not view.means  # MLflow draws no pictures, parallel coordinates or differences of means
    differing = [name for name in shown if f"{DIFFERENCE}{name}" in metrics]
    found = [
        _Section("Difference to the baseline, test split", 3, 330, [_bar(f"{DIFFERENCE}{name}") for name in differing]),
        _Section("Test split", 3, 330, [_bar(f"test/{name}") for name in shown]),
        _Section("Classes, head to tail (step: rank)", 2, 400, [_line(key) for key in PROFILES]),
        _Section("Head against tail", 2, 400, _head_and_tail(view, metrics)),
        _Section("What the weights did, head to tail", 3, 330, [_line(key) for key in WHAT_THE_WEIGHTS_DID]),
        _Section("Choices and results", 1, 400, [_parallel(view.params, shown)] if each_run else []),
        _Section("Training", 2, 330, [_line(key) for key in TRAINING]),
        # As high as the params that MLflow writes over each picture.
        _Section("Confusion", 3, 760, [_images("confusion_matrix")] if each_run else []),
        _Section("Differences", 1, 500, _differences(view, runs) if each_run else []),
    ]
    return [section for section in found if section.cards]


def _listing(view: View, metrics: Mapping[str, float], shown: Sequence[str], runs: int) -> dict[str, Any]:
    """Return which runs are listed, in what order, with which columns, and how they are grouped."""
    grouped = {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "param", "groupByData": key} for key in view.by],
    }
    return {
        "searchFilter": view.condition,
        "orderByKey": f"metrics.`test/{shown[0]}`" if shown else "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": [
            *(f"params.`{key}`" for key in view.params),
            *(f"metrics.`test/{name}`" for name in shown[:1]),
            *(f"metrics.`{DIFFERENCE}{name}`" for name in shown[:1] if f"{DIFFERENCE}{name}" in metrics),
            *(f"metrics.`test/{name}`" for name in shown[1:]),
        ],
        "runsHiddenMode": "SHOWALL" if runs <= AT_ONCE else "FIRST_20_RUNS",
        "groupBy": grouped if view.by else None,
        "useGroupedValuesInCharts": view.means,
    }


def _opened(uuid: str, section: _Section) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name": section.title,
        "display": True,
        "isReordered": True,
        "columns": section.columns,
        "cardHeight": section.height,
    }


def _card(section: str, number: int) -> dict[str, Any]:
    return {
        "uuid": f"{section}.{number}",
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": AT_ONCE,
    }


def _bar(key: str) -> dict[str, Any]:
    return {"type": "BAR", "metricKey": key}


def _line(key: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "metricKey": key,
        "selectedMetricKeys": [key],
        "xAxisKey": "step",
        "useGlobalXaxisKey": False,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
    }


def _scatter(x: str, y: str) -> dict[str, Any]:
    return {"type": "SCATTER", "xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}


def _head_and_tail(view: View, metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Set the recall of the classes with many samples against that with few; without groups of the first and last."""
    if "test/recall_few" in metrics:
        return [_scatter("test/recall_many", "test/recall_few")]
    return [_scatter(*(f"test/recall/{name}" for name in (view.classes[0], view.classes[-1])))] if view.classes else []


def _parallel(params: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
    # The last metric colours the lines.
    metrics = [f"test/{name}" for name in reversed(shown[:4])]
    return {"type": "PARALLEL", "selectedParams": list(params), "selectedMetrics": metrics, "showAllRuns": False}


def _images(key: str) -> dict[str, Any]:
    return {"type": "IMAGE", "imageKeys": [key], "step": 0}


def _differences(view: View, runs: int) -> list[dict[str, Any]]:
    """Return the card, unless the baseline is not drawn: MLflow would take another run in its place."""
    if view.baseline is None or runs > AT_ONCE:
        return []
    run_id, name = view.baseline
    return [
        {
            "type": "DIFFERENCE",
            "chartName": f"Differences to {name}",
            "compareGroups": ["Model metrics"],
            "showChangeFromBaseline": True,
            "showDifferencesOnly": True,
            "baselineColumnUuid": run_id,
        }
    ]
