"""What a comparison's page reads from a store: predictions and curves of real runs in it."""

from pathlib import Path

import pandas as pd
import pytest

from equipoise.comparison import stored
from equipoise.comparison.compare import Table, compare
from equipoise.tracking import history
from equipoise.tracking.store import Store

pytestmark = pytest.mark.slow

CURVE = {"none": ([0.1, 0.3, 0.5], [0.3, 0.5]), "power": ([0.2, 0.4], [0.4, 0.6])}


@pytest.fixture(scope="module")
def table(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Two weightings with two seeds; `none` takes half of the rare samples for frequent ones, `power` none,
    but half of the others, and gives the rest no class.
    """
    experiment = store.experiment("stored %")
    for weighting, predicted in (
        ("none", ["rare", "many", "many", "many"]),
        ("power", ["rare", "rare", None, "rare"]),
    ):
        for seed in (0, 1):
            params = {"weighting.name": weighting, "seed": str(seed), "dataset.name": "data"}
            run = store.client.create_run(experiment, tags={"sweep_id": "s"}, start_time=seed).info.run_id
            for key, value in params.items():
                store.client.log_param(run, key, value)
            store.client.log_metric(run, "test/macro_f1", 0.5 + seed / 10)
            for epoch, value in enumerate(CURVE[weighting][seed]):
                store.client.log_metric(run, "val/macro_f1", value, step=epoch)
            file = tmp_path_factory.mktemp("predicted") / Path(stored.PREDICTIONS).name
            frame = pd.DataFrame({"label": ["rare", "rare", "many", "many"], "predicted": predicted, "p(rare)": 0.5})
            frame.to_parquet(file)
            store.client.log_artifact(run, str(file), str(Path(stored.PREDICTIONS).parent))
            store.client.set_terminated(run, "FINISHED")
    return compare(history.sweep_runs(store, "s", ["test/macro_f1"]), "macro_f1").tables[0]


def test_confusions_are_means_of_the_runs_shares(store: Store, table: Table) -> None:
    found = stored.confusions(store, table)
    assert set(found) == {"none", "power"}
    assert found["none"].classes == ("many", "rare")
    assert found["none"].shares.tolist() == [[1, 0], [0.5, 0.5]]
    assert found["power"].shares.tolist() == [[0, 0.5], [0, 1]]
    assert found["power"].runs == 2


def test_predictions_of_several_labels_and_missing_ones_have_none(store: Store, tmp_path: Path, table: Table) -> None:
    file = tmp_path / "predictions.parquet"
    pd.DataFrame({"label(a)": [1], "predicted(a)": [0]}).to_parquet(file)
    assert stored._pairs(file) is None
    place = stored.artifacts(store, next(iter(table.rows[0].configuration.runs.values())))
    assert place is not None
    moved = (place / stored.PREDICTIONS).rename(tmp_path / "elsewhere")
    assert stored.confusions(store, table)[table.rows[0].configuration.label].runs == 1
    moved.rename(place / stored.PREDICTIONS)


def test_a_curve_ends_where_the_shortest_run_does(store: Store, table: Table) -> None:
    found = stored.curves(store, table.rows, "val/macro_f1")
    assert found["none"].mean.tolist() == pytest.approx([0.2, 0.4])
    assert (found["none"].low.tolist(), found["none"].high.tolist()) == ([0.1, 0.3], [0.3, 0.5])
    assert found["power"].epochs.tolist() == [1, 2]
    assert stored.curves(store, table.rows, "val/absent") == {}


def test_sql_and_the_client_read_the_same_epochs(store: Store, table: Table) -> None:
    runs = [run.id for row in table.rows for run in row.configuration.runs.values()]
    by_sql = history.by_epoch(store, runs, "val/macro_f1")
    assert by_sql == history.by_epoch(_Asked(store), runs, "val/macro_f1")  # type: ignore[arg-type]
    assert sorted(map(len, by_sql.values())) == [2, 2, 2, 3]


class _Asked:
    """The store as a server's would be."""

    def __init__(self, store: Store) -> None:
        self.client, self.uri = store.client, "http://elsewhere"
