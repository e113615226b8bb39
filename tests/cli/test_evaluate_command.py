"""`python src/evaluate.py` with slices and gates, as users and CI jobs run it, against counts from the predictions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from equipoise.tracking.store import open_store
from helpers import copy_project, train

pytestmark = pytest.mark.slow


def table(rows: int, seed: int) -> pd.DataFrame:
    """Rows of which fraud is as easily found everywhere but in IT, where its sign is turned."""
    generator = np.random.default_rng(seed)
    is_rare = generator.random(rows) < 0.3
    country = generator.choice(["DE", "FR", "IT"], rows, p=[0.5, 0.3, 0.2])
    sign = np.where(country == "IT", -1, 1)
    return pd.DataFrame(
        {
            "x": (generator.normal(size=rows) + 3 * is_rare * sign).round(4),
            "age": generator.integers(18, 90, rows),
            "country": np.where(np.arange(rows) % 50 == 0, "", country),
            "y": np.where(is_rare, "a fraud", "ok"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run, whose table has a column that no model learns from."""
    project = copy_project(tmp_path_factory.mktemp("slices") / "project", with_store=True)
    table(1500, 0).to_csv(project / "rows.csv", index=False)
    table(400, 1).to_csv(project / "new.csv", index=False)
    words = ["dataset=csv", "dataset.path=rows.csv", "dataset.target=y", "dataset.drop=[country]", "model=linear"]
    found = train(project, *words, "trainer.epochs=8", "trainer.learning_rate=0.02")
    assert found.returncode == 0, found.stderr
    return project


def left(project: Path) -> list[str]:
    """Every file but the store's own, and every evaluation."""
    files = [str(path) for path in project.rglob("*") if not path.name.startswith("mlflow.db")]
    return sorted([*files, *(str(run.info.run_id) for run in open_store(project).runs(kind="evaluation"))])


def newest(project: Path) -> tuple[Any, Path]:
    run = max(open_store(project).runs(kind="evaluation"), key=lambda one: str(one.info.start_time))
    return run, project / "mlruns" / "csv-rows" / str(run.info.run_id) / "artifacts/evaluation"


def test_slices_and_gates_of_the_run_s_own_test_split(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["recall/ok >= 0.5", "test/recall/a fraud/country=IT >= 0.9", "worst_class_recall_low > 0.999", "ece < 1"]
    (folder / "gates.yaml").write_text("".join(f"- {line}\n" for line in lines))
    monkeypatch.setenv("COLUMNS", "60")
    found = train(folder, "run=latest", "slices=[country,age]", "gates=gates.yaml", script="evaluate.py")
    assert found.returncode == 1, found.stdout + found.stderr
    assert "2 of 4 gates failed:\n  recall/a fraud/country=IT >= 0.9: 0.0" in found.stderr
    assert "  worst_class_recall_low > 0.999: 0." in found.stderr
    assert max(map(len, found.stdout.split("Report:")[0].splitlines()[4:])) <= 60
    assert "p after Holm's correction for 16 tests" in " ".join(found.stdout.split()), (
        "4 countries and 4 ranges of age, by class"
    )

    run, artifacts = newest(folder)
    assert (run.data.tags["gates"], run.data.tags["slices"]) == ("failed", "country, age")
    gates = json.loads((artifacts / "gates.json").read_text())
    assert [gate["passed"] for gate in gates] == [True, False, False, True]
    rows, predictions = table(1500, 0), pd.read_parquet(artifacts / "predictions.parquet")
    country = rows["country"].iloc[predictions["row"]].replace("", "(missing)").to_numpy()
    slices = pd.read_csv(artifacts / "slices.csv")
    assert slices["recall"].is_monotonic_increasing
    assert slices["n"].sum() == 2 * len(predictions), "each row is in a slice of each column"
    right = (predictions["label"] == predictions["predicted"]).to_numpy()
    for place in ("DE", "FR", "IT", "(missing)"):
        here, rare = country == place, (predictions["label"] == "a fraud").to_numpy()
        (one,) = slices[(slices["slice"] == f"country={place}") & (slices["class"] == "a fraud")].itertuples()
        hits, support, rest, others = (
            int(part.sum()) for part in (right & here & rare, here & rare, right & ~here & rare, ~here & rare)
        )
        assert (one.n, one.n_elsewhere) == (support, others)
        assert (one.recall, one.recall_elsewhere) == pytest.approx((hits / support, rest / others))
        wilson = stats.binomtest(hits, support).proportion_ci(0.95, "wilson")
        assert (one.recall_low, one.recall_high) == pytest.approx((wilson.low, wilson.high))
        assert one.p == pytest.approx(stats.fisher_exact([[hits, support - hits], [rest, others - rest]]).pvalue)
        assert (one.against_elsewhere == "lower") is (place == "IT")
    logged = json.loads((artifacts / "slices.json").read_text())
    assert logged["columns"][:3] == ["class", "slice", "recall"]
    assert len(logged["data"]) == len(slices)
    assert "Do slices differ?" in (artifacts / "report.html").read_text()


def test_another_file_is_sliced_by_its_own_column_and_passes(folder: Path) -> None:
    (folder / "pass.yaml").write_text("- recall/a fraud/country=DE >= 0.5\n- accuracy_low > 0.5\n")
    words = ["run=latest", "dataset.path=new.csv", "slices=country", "gates=pass.yaml"]
    found = train(folder, *words, script="evaluate.py")
    assert found.returncode == 0, found.stderr
    run, artifacts = newest(folder)
    assert run.data.tags["gates"] == "passed"
    expected = table(400, 1).assign(country=lambda frame: frame["country"].replace("", "(missing)"))
    counts = expected.groupby(["y", "country"]).size()
    for one in pd.read_csv(artifacts / "slices.csv").itertuples():
        assert one.n == counts[one[1], str(one.slice).removeprefix("country=")]


@pytest.mark.parametrize(
    ("line", "word", "why"),
    [
        (
            "recall/a fruad >= 0.5",
            "slices=[country]",
            "there is no metric 'recall/a fruad' here; did you mean 'recall/a fraud'?",
        ),
        (
            "recall/a fraud/country=DE >= 0.5",
            "slices=[age]",
            "slices=COLUMN measures recall/CLASS/COLUMN=SLICE (typed: age)",
        ),
        ("recall/a fraud", "decision=argmax", "gate 1: 'recall/a fraud' is no gate: expected METRIC >= NUMBER"),
        ("ece < 1", "slices=[contry]", "slices=contry: "),
        ("ece < 1", "slice=[country]", "slice=[country]: there is no option slice; did you mean 'slices'?"),
    ],
)
def test_what_cannot_be_judged_exits_2_and_leaves_nothing(line: str, word: str, why: str, folder: Path) -> None:
    (folder / "wrong.yaml").write_text(f"- {line}\n")
    before = left(folder)
    found = train(folder, "run=latest", word, "gates=wrong.yaml", script="evaluate.py")
    assert (found.returncode, found.stdout) == (2, "")
    assert why in found.stderr
    assert "Traceback" not in found.stderr
    assert left(folder) == before
