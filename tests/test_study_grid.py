"""The grid of the study, the table of its runs, and what of it is missing. The one training is a real one, repeated."""

import contextlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from clusters import slurm
from equipoise.config.model import config_sha256
from equipoise.core.errors import ConfigError

REPOSITORY = Path(__file__).parents[1]
PROGRAMS = ("grid", "parts", "judge", "table", "harvest", "run", "data")


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    for folder in ("pipelines", "pipelines/study"):
        monkeypatch.syspath_prepend(REPOSITORY / folder)
    import grid
    import harvest
    import judge
    import parts
    import table

    import data
    import run

    for name in PROGRAMS:
        monkeypatch.delitem(sys.modules, name)
    return SimpleNamespace(grid=grid, parts=parts, judge=judge, table=table, harvest=harvest, run=run, data=data)


def _rows(programs: SimpleNamespace, config: str, logits: str = "a") -> Any:
    row = dict.fromkeys(programs.table.SCHEMA.names, 0) | {"confusion": [5, 1, 2, 3], "validation": [1, 0, 0, 1]}
    named = dict.fromkeys(("dataset", "family", "method", "setting"), "x")
    return programs.table.with_rows(
        programs.table.SCHEMA.empty_table(),
        [
            row | named | {"config": config, "rule": rule, "logits": logits, "diverged": False, "machine": "m"}
            for rule in ("a", "b")
        ],
    )


def _write(file: Path) -> None:
    """Write data of the kind that the file's name tells: 100 rows of two classes."""
    rows = np.arange(100)
    kind = np.where(rows % 5 == 0, "a", "b")
    if file.suffix == ".parquet":
        pd.DataFrame({"x": rows, "group": rows, "target": kind}).to_parquet(file)
    elif file.suffix == ".csv":
        pd.DataFrame({"body": "word", "thread": rows, "kind": kind}).to_csv(file)
    elif file.suffix == ".npz":
        split = np.repeat(["train", "validation", "test"], [60, 20, 20])
        np.savez(file, x=np.zeros((100, 8, 8, 1)), y=rows % 5 == 0, split=split)
    else:
        head = "@problemName p\n@univariate true\n@equalLength true\n@classLabel true a b\n@data\n"
        file.write_text(head + "".join(f"{row},1,2:{name}\n" for row, name in zip(rows, kind, strict=True)))


def test_every_data_set_of_the_design_is_in_the_grid(programs: SimpleNamespace) -> None:
    grid = programs.grid.read("study")
    assert (len(grid["tables"]), len(set(grid["tables"].values()))) == (50, 23)
    assert set(grid["drawn"]) == {*grid["tables"], *grid["images"]}
    drawn = [*grid["drawn"].values()]
    assert sorted(drawn.count(each) for each in set(drawn)) == [6, 6, 6, 6, 6, 6, 6, 7, 7]
    assert not set(grid["pilot"]) & set(grid["tables"])
    names = [part.name for part in programs.parts.parts(grid)]
    assert len(set(names)) == len(names)
    assert names[0] == "centre/centre/weights/hepatitis"
    assert len([*programs.parts.parts(grid, quick=True)]) == 2


def test_words_of_the_grid_are_jobs(programs: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the jobs, since all of them take minutes to compose, on small data."""
    monkeypatch.setattr(programs.parts, "DATA", str(tmp_path))
    grid = programs.grid.read("study")
    seen: dict[tuple[str, ...], Any] = {}
    for part in programs.parts.parts(grid):
        seen.setdefault(tuple(part.name.split("/")[:3]), part)
    assert len(seen) > 50
    some = [part for place, part in enumerate(seen.values()) if place % 20 == 0 or "boosting" in part.name]
    for part in some:
        first = [words[0] for words in programs.parts.values(part.words)]
        path = next((word.partition("=")[2] for word in first if word.startswith("dataset.path=")), None)
        if path:
            _write(Path(path))
        (job,) = programs.parts.jobs(replace(part, words=tuple(first)))
        name = programs.parts.dataset_of(job)
        assert programs.parts.family_of(grid, name)
        assert programs.parts.method_of(job)


def test_no_stage_works_outside_of_its_dvc_project() -> None:
    # DVC begins such a stage, and refuses it once its dependencies are those of the lock file.
    stages = yaml.safe_load((REPOSITORY / "pipelines/study/dvc.yaml").read_text())["stages"]
    assert set(stages) == {"series", "texts", "data", "runs"}
    assert not [name for name, stage in stages.items() if "wdir" in stage]
    # Nor does it begin any where git ignores its lock file.
    ignored = ["git", "check-ignore", "--no-index", "-q", "pipelines/study/dvc.lock"]
    assert subprocess.run(ignored, cwd=REPOSITORY, check=False).returncode == 1


def test_the_missing_jobs_of_a_part_are_trained_and_no_others(programs: SimpleNamespace) -> None:
    part = SimpleNamespace(words=("-m", "sweep=s", "a=1,2", "b=[1,2],[3]", "seed=range(2)"))
    known = [f"{a}{b}{seed}" for a in "12" for b in "xy" for seed in "01"]
    (whole,) = programs.parts.of_jobs(part, set(known), known)
    assert whole == ["-m", "sweep=s", "a=1,2", "b=[1,2],[3]", "seed=0,1"]
    some = programs.parts.of_jobs(part, {"1x0", "1y0", "2x1"}, known)
    assert [words[2:] for words in some] == [["a=1", "b=[1,2],[3]", "seed=0"], ["a=2", "b=[1,2]", "seed=1"]]


def test_parts_are_run_in_the_order_that_is_asked_for(programs: SimpleNamespace) -> None:
    known = [*programs.parts.parts(programs.grid.read("study"))]
    assert programs.run._asked(known, "") == known
    found = [part.name for part in programs.run._asked(known, "boosting,centre/centre/focal,boosting")]
    kinds = [name.partition("/")[0] for name in found]
    assert kinds == sorted(kinds)
    assert {"/".join(name.split("/")[1:3]) for name in found} == {"boosting/boosting", "centre/focal"}
    assert len(found) == len(set(found))
    with pytest.raises(ConfigError, match="no part's name begins with 'centre/focus'; the first is centre/centre/"):
        programs.run._asked(known, "boosting,centre/focus")
    with pytest.raises(ConfigError, match="there is no program snur"):
        programs.run._program("snur --ntasks=1")
    with pytest.raises(ConfigError, match="through=': No closing quotation"):
        programs.run._program("'")
    assert programs.run._program("env -i") == ("env", "-i")
    assert programs.run._program("") == ()


def test_parts_without_their_data_are_told_and_the_others_are_run(
    programs: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine without npm has no texts."""
    known = [*programs.parts.parts(programs.grid.read("study"))]
    files = {file for part in known for file in part.files}
    assert len(files) == 50 + 6 * 5 + 3 + 1
    monkeypatch.chdir(tmp_path)
    (tmp_path / programs.parts.DATA).mkdir(parents=True)
    for file in files:
        Path(file).touch()
    assert programs.run._with_data(known) == known
    assert capsys.readouterr().out == ""
    mails = f"{programs.parts.DATA}/mails.csv"
    Path(mails).unlink()
    assert programs.run._with_data(known) == [part for part in known if not part.name.startswith("texts")]
    texts = sum(part.name.startswith("texts") for part in known)
    assert capsys.readouterr().out == f"{texts} parts are left out, whose data are not there: {mails}\n"
    for file in files - {mails}:
        Path(file).unlink()
    assert {part.name.partition("/")[0] for part in programs.run._with_data(known)} == {"synthetic"}


def test_log_loss_of_smote_is_corrected_from_the_prior_of_its_rows(programs: SimpleNamespace, tmp_path: Path) -> None:
    _write(tmp_path / "some.parquet")
    words = ["dataset=csv", "dataset.target=target", f"dataset.path={tmp_path / 'some.parquet'}", "model=linear"]
    jobs = [
        programs.parts.jobs(SimpleNamespace(words=("-m", "sweep=s", *words, *more)))[0]
        for more in ((), ("dataset.sampling=smote",))
    ]
    harvest = programs.harvest.Harvest({}, SimpleNamespace(), tmp_path, tmp_path / "cache")
    plain, smote = (harvest._context(job).known.effective for job in jobs)
    assert plain == pytest.approx([0.2, 0.8], abs=0.02)
    assert smote == pytest.approx([0.5, 0.5])


def test_two_machines_tables_are_one_and_must_not_contradict(programs: SimpleNamespace, tmp_path: Path) -> None:
    table = programs.table
    both = table.merged(_rows(programs, "1"), table.merged(_rows(programs, "2"), _rows(programs, "1")))
    assert table.configs(both) == {"1", "2"}
    assert both.num_rows == 4
    table.write(both, tmp_path / "a.parquet")
    table.write(both.take([3, 1, 0, 2]), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert table.read(tmp_path / "a.parquet").schema == table.SCHEMA
    assert table.read(tmp_path / "none.parquet").num_rows == 0
    with pytest.raises(ConfigError, match="differ in 2 rows; the first is of the run 1"):
        table.merged(both, _rows(programs, "1", "other"))
    assert table.with_rows(both, _rows(programs, "1", "new").to_pylist()).num_rows == 4
    table.change(lambda known: table.merged(known, _rows(programs, "3")), tmp_path / "a.parquet")
    assert table.configs(table.read(tmp_path / "a.parquet")) == {"1", "2", "3"}


def test_the_tracked_table_is_small(programs: SimpleNamespace) -> None:
    if programs.table.TABLE.exists():
        assert programs.table.TABLE.stat().st_size <= programs.table.MOST_BYTES


@pytest.mark.slow
def test_a_run_of_the_tracked_table_is_repeated_to_the_bit(
    programs: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random one of a small data set at the centre, of methods that are trained together; by Slurm, if it is here."""
    if not programs.table.TABLE.exists():
        pytest.skip("no run is in the table yet")
    grid, found = programs.grid.read("study"), programs.table.read().to_pandas()
    small = found["dataset"].isin(["hepatitis", "hayes_roth"]) & found["method"].isin(["none", "balanced", "power_50"])
    found = found[small & (found["setting"] == "centre") & (found["division"] == 0) & ~found["diverged"]]
    if found.empty:
        pytest.skip("no run of a small data set is in the table yet")
    row = found.sample(1).iloc[0]
    data = REPOSITORY / "pipelines" / "study" / "data" / f"{row['dataset']}.parquet"
    if not data.exists():
        data.parent.mkdir(exist_ok=True)
        programs.data.tables([row["dataset"]])
    part = next(programs.parts.parts(grid))
    # The jobs of its data and fold are one stack, on which its last bits depend.
    ends = (f"/{data.name}", f"fold={row['fold']}")
    every = zip(part.words, programs.parts.values(part.words), strict=True)
    words = tuple(next((one for one in each if one.endswith(ends)), word) for word, each in every)
    assert row["config"] in {config_sha256(job)[:16] for job in programs.parts.jobs(replace(part, words=words))}
    again, srun = replace(part, name="again", words=words), ("srun", "--ntasks=1")
    with slurm() if shutil.which("slurmctld") else contextlib.nullcontext({}) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        through = srun if environment else ()
        study = programs.run.Study(grid, tmp_path / "again.parquet", float("inf"), through)
        assert "9 of 9" in study.carry_out(again)
    again = programs.table.read(tmp_path / "again.parquet").to_pandas()
    again = again[again["config"] == row["config"]].set_index(["epochs", "rule"])
    before = programs.table.read().to_pandas()
    before = before[before["config"] == row["config"]].set_index(["epochs", "rule"])
    if row["machine"] == programs.table.this_machine():
        assert dict(again["logits"]) == dict(before["logits"])
    else:  # last bits of another kind of processor grow with the epochs
        early = (30, "argmax")
        moved = np.abs(np.asarray(again["confusion"][early]) - np.asarray(before["confusion"][early])).sum() / 2
        assert moved <= 0.2 * np.sum(before["confusion"][early])
