"""What MLflow's page of an experiment shows: charts and table as a saved view, written as the JSON that the page reads.

The format is MLflow's own and not a public interface: seen to work with 3.17, which pyproject.toml pins. Knows
nothing of the store: a tag of the experiment holds a view; `make ui VIEW=experiment/key` opens it.
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
PROFILES = ("profile/recall", "profile/precision", "profile/f1", "profile/weight")
TRAINING = ("val/balanced_accuracy", "val/macro_f1", "val/log_loss", "train/loss")
AT_ONCE = 100  # runs that are drawn; of more the first 20


@dataclass(frozen=True)
class View:
    """A saved view of an experiment's page.

    Attributes
    ----------
    key : word that tells it apart in its experiment
    name : as the page lists it
    condition : MLflow filter of the runs that it shows
    params : those that differ between the runs, as dotted keys
    by : params by which the runs are grouped
    means : whether charts draw the groups' means instead of their runs
    baseline : id and name of the run that differences are to
    """

    key: str
    name: str
    condition: str
    params: Sequence[str]
    by: Sequence[str] = ()
    means: bool = False
    baseline: tuple[str, str] | None = None


# Finished runs; summaries of sweeps, which have no weighting, are left out.
FINISHED = "tags.weighting LIKE '%' and attributes.status = 'FINISHED'"


def of_experiment(baseline: tuple[str, str] | None = None) -> View:
    """All finished runs of an experiment."""
    return View(
        "comparison", "All runs", FINISHED, ("weighting.name", "loss.name", "model.name", "seed"), baseline=baseline
    )


def condition_of_sweep(sweep: str) -> str:
    """MLflow's filter of a sweep's finished runs."""
    return f"tags.sweep_id = '{sweep}' and {FINISHED}"


def of_sweep(
    sweep: str, configuration: Sequence[str], repetition: Sequence[str], baseline: tuple[str, str] | None = None
) -> list[View]:
    """A view of a sweep's runs, in a colour a strategy, and if configurations are repeated, one of their means.

    Parameters
    ----------
    configuration : params that tell its configurations apart
    repetition : params that tell repetitions of one configuration apart: seed, split
    """
    condition = condition_of_sweep(sweep)
    params = (*configuration, *repetition)
    if not (configuration and repetition):
        return [View(sweep, f"Sweep {sweep}", condition, params, baseline=baseline)]
    over = " and ".join(repetition)
    return [
        View(sweep, f"Sweep {sweep}", condition, params, by=configuration, baseline=baseline),
        View(f"{sweep}-means", f"Sweep {sweep}, means over {over}", condition, params, by=configuration, means=True),
    ]


def tag(view: View, metrics: Mapping[str, float], runs: int) -> tuple[str, str]:
    """The tag of an experiment that holds a view: key and value.

    Parameters
    ----------
    metrics : all that any of the runs has logged, `count/<class>` among them, with a value of one of them
    runs : how many there are
    """
    now = int(time.time() * 1000)
    return TAG + view.key, json.dumps(
        {"name": view.name, "createdAt": now, "updatedAt": now, "state": json.dumps(_state(view, metrics, runs))}
    )


def _state(view: View, metrics: Mapping[str, float], runs: int) -> dict[str, Any]:
    shown = [name for name in HEADLINE if f"test/{name}" in metrics]
    # MLflow draws none of these of means.
    images, choices, differences = (
        ([], [], [])
        if view.means
        else ([_images("confusion_matrix")], [_parallel(view.params, shown)], _differences(view, runs))
    )
    # Title, cards in a row, height of a card in pixels, cards.
    opened: list[tuple[str, int, int, list[dict[str, Any]]]] = [
        ("Test split", 3, 330, [_bar(f"test/{name}") for name in shown]),
        ("Classes, head to tail (step: rank)", 2, 400, [_line(key) for key in PROFILES]),
        ("Head against tail", 2, 400, [_scatter(*_head_and_tail(metrics))]),
        ("Choices and results", 1, 400, choices),
        ("Training", 2, 330, [_line(key) for key in TRAINING]),
        ("Confusion", 3, 760, images),  # below all the params that MLflow writes over each picture
        ("Differences", 1, 500, differences),
    ]
    opened = [section for section in opened if section[-1]]
    sections = [_section(f"{index}", *section[:3]) for index, section in enumerate(opened)]
    charts = [
        {**_card(f"{index}", number), **card}
        for index, section in enumerate(opened)
        for number, card in enumerate(section[-1])
    ]
    drawn = {chart.get("metricKey") for chart in charts}
    # MLflow adds a chart for every other metric: below, and closed until they are asked for.
    others = sorted({key.rpartition("/")[0] or "Model metrics" for key in metrics if key not in drawn})
    return {
        "compareRunSections": [
            *sections,
            *({"uuid": name, "name": name, "display": False, "isReordered": True} for name in others),
        ],
        "compareRunCharts": charts,
        "isAccordionReordered": True,  # else the sections would be sorted by name
        "autoRefreshEnabled": True,
        "hideEmptyCharts": True,
        "chartsSearchFilter": "",
        "searchFilter": view.condition,
        "orderByKey": f"metrics.`test/{shown[0]}`" if shown else "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*(f"params.`{key}`" for key in view.params), *(f"metrics.`test/{name}`" for name in shown)],
        "columnOrder": [],
        "columnWidths": {},
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "SHOWALL" if runs <= AT_ONCE else "FIRST_20_RUNS",
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "param", "groupByData": key} for key in view.by],
        }
        if view.by
        else None,
        "groupsExpanded": {},
        "useGroupedValuesInCharts": view.means,
        "viewMaximized": True,
        "runListHidden": False,
    }


def _section(uuid: str, title: str, columns: int, height: int) -> dict[str, Any]:
    return {"uuid": uuid, "name": title, "display": True, "isReordered": True, "columns": columns, "cardHeight": height}


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


def _head_and_tail(metrics: Mapping[str, float]) -> tuple[str, str]:
    """The recall of the classes of many and of few samples, or where there are no such groups of the first and the last class."""
    if "test/recall_few" in metrics:
        return "test/recall_many", "test/recall_few"
    counts = {key: value for key, value in metrics.items() if key.startswith("count/")}
    head_to_tail = sorted(counts, key=lambda key: -counts[key]) or ["count/0"]
    return head_to_tail[0].replace("count/", "test/recall/", 1), head_to_tail[-1].replace("count/", "test/recall/", 1)


def _parallel(params: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
    # The last of them colours the lines.
    metrics = [f"test/{name}" for name in reversed(shown[:4])]
    return {"type": "PARALLEL", "selectedParams": list(params), "selectedMetrics": metrics, "showAllRuns": False}


def _images(key: str) -> dict[str, Any]:
    return {"type": "IMAGE", "imageKeys": [key], "step": 0}


def _differences(view: View, runs: int) -> list[dict[str, Any]]:
    """Where the baseline is drawn: in place of one that is not MLflow would take another run."""
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
