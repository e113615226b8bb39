"""Run what grows at sizes that users may reach: 20,000 runs, 10,000,000 rows, 1,000,000 images, 10,000 classes.

    python benchmarks/large.py [PART …]     store, rows, images, classes; `make bench ARGS=large` runs all

Each command runs in a project of its own. Seconds of processors depend less on other work than those of a clock; a
server's are not among them, so what it is asked is timed by a clock. Peak memory is RssAnon (see growth.py). LARGE in
the environment names a folder for the files, of up to 5 GB; else they lie where temporary files do.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("src", "tests")]

from growth import write_npz
from paired import copy_project, table
from servers import Server, as_user, free_port, running_server

ROUNDS = 1
RUNS, OF_SWEEP = 20_000, 100
ROWS, BLOCK = 10_000_000, 250_000
IMAGES, DIFFERENT, OF_IMAGES, SIDE, SHARDS = 1_000_000, 1000, 10, 8, 16
CLASSES, SAMPLES, FEATURES = 10_000, 60_000, 64
QUICK = ("dataset=digits_lt", "model=linear", "trainer.epochs=1", "trainer.resume=false", "tracking=server")


def measure(rounds: int, parts: Sequence[str] = ("store", "rows", "images", "classes")) -> tuple[dict[str, Any], str]:
    """Return what each part took, and the tables."""
    found: dict[str, Any] = {}
    for name in parts:
        with tempfile.TemporaryDirectory(dir=os.environ.get("LARGE"), prefix="equipoise-large-") as folder:
            Path(folder).chmod(0o711)  # PostgreSQL, started by root, runs as another user
            for number in range(rounds):
                for what, costs in PARTS[name](Path(folder), number):
                    found.setdefault(name, {}).setdefault(what, []).append(costs)
                    print(f"  {name}, {what}: {_told(costs)}", flush=True)
    return found, _table(found)


def _table(found: Mapping[str, Any]) -> str:
    lines = [
        [name, what, *(_told(costs) for costs in rounds)]
        for name, of_part in found.items()
        for what, rounds in of_part.items()
    ]
    return table(["", "", *(f"round {number + 1}" for number in range(max(len(line) for line in lines) - 2))], lines)


def _told(costs: Mapping[str, float]) -> str:
    units = {
        "wall": "{:.1f} s",
        "processor": "{:.1f} s of processors",
        "peak": "{:,.0f} MiB",
        "of_arrow": "{:.2f} of it",
    }
    return ", ".join(units[key].format(value) for key, value in costs.items())


def watched(*command: str | Path, environment: Mapping[str, str] | None = None) -> dict[str, float]:
    """Return seconds by the clock and of processors, and the peak of RssAnon in MiB, of a program that must succeed."""
    start, before, peak = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN), 0
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        with contextlib.suppress(OSError):
            peak = max([peak, *(int(line.split()[1]) for line in status.read_text().splitlines() if "RssAnon" in line)])
        time.sleep(0.1)
    if process.returncode:
        said = process.stderr.read() if process.stderr else ""
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}: {said}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - start, "processor": processor, "peak": peak / 1024}


Measured = Iterator[tuple[str, dict[str, float]]]


def _store(folder: Path, number: int) -> Measured:
    """Measure commands on a server, with one run in its store, and with 20,000 that are copies of it."""
    project = folder / f"project-{number}"
    copy_project(project)
    with running_server(project) as server:
        environment = as_user(server.uri, "admin", server.password)
        watched(project / "src" / "train.py", *QUICK, environment=environment)
        yield from _asked(project, server, environment, "1 run")
        start = time.perf_counter()
        sweep = fill(server)
        yield f"{RUNS:,} runs written", {"wall": time.perf_counter() - start}
        yield from _asked(project, server, environment, f"{RUNS:,} runs")
        compared = watched(project / "src" / "compare.py", f"sweep={sweep}", "tracking=server", environment=environment)
        yield f"compare {OF_SWEEP} of {RUNS:,} runs", compared


def _asked(project: Path, server: Server, environment: Mapping[str, str], stored: str) -> Measured:
    train, doctor = project / "src" / "train.py", project / "src" / "doctor.py"
    yield f"one more run, {stored}", watched(train, *QUICK, environment=environment)
    sweep = ("-m", *QUICK, "weighting=none,balanced", "seed=0,1", "sweep=new")
    yield f"a sweep of 4, {stored}", watched(train, *sweep, environment=environment)
    yield f"doctor, {stored}", watched(doctor, "tracking=server", environment=environment)
    session = server.session("admin", server.password)
    start = time.perf_counter()
    # What the first page of an experiment asks for (MLflow 3.17).
    experiments = session.get(f"{server.uri}/ajax-api/2.0/mlflow/experiments/search", params={"max_results": 25}).json()
    body: dict[str, Any] = {
        "experiment_ids": [experiments["experiments"][0]["experiment_id"]],
        "run_view_type": "ACTIVE_ONLY",
        "max_results": 100,
        "order_by": ["attributes.start_time DESC"],
    }
    answer = session.post(f"{server.uri}/ajax-api/2.0/mlflow/runs/search", json=body)
    assert answer.status_code == 200, answer.text
    yield f"the first page of runs, {stored}", {"wall": time.perf_counter() - start}


def fill(server: Server) -> str:
    """Copy the newest run of a sweep until there are 20,000; return the id of the newest sweep."""
    import psycopg2

    place = (server.project / "server" / "postgresql" / "postmaster.pid").read_text().splitlines()[4]
    with contextlib.closing(psycopg2.connect(host=place, user="mlflow", dbname="mlflow")) as connection, connection:
        cursor = connection.cursor()
        cursor.execute("SELECT run_uuid FROM tags WHERE key = 'sweep_id' ORDER BY run_uuid")
        templates = [run for (run,) in cursor.fetchall()]
        cursor.execute("SELECT run_uuid FROM tags WHERE key = 'weights_sha256' AND run_uuid = ANY(%s)", [templates])
        templates = sorted(run for (run,) in cursor.fetchall())
        for place_of, template in enumerate(templates):
            _copies(cursor, template, place_of, len(templates))
        cursor.execute("ANALYZE")
    return f"sweep-{RUNS // OF_SWEEP - 1}"


def _copies(cursor: Any, template: str, which: int, templates: int) -> None:
    """Copy a run with its latest metrics, and the last point of each; each sweep has copies of every template."""
    cursor.execute(
        "CREATE TEMP TABLE copies AS SELECT md5(%s || n) AS id, n FROM generate_series(0, %s) AS n WHERE n %% %s = %s",
        [template, RUNS - 1, templates, which],
    )
    for of in ("runs", "params", "tags", "latest_metrics", "metrics"):
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", [of])
        columns = [column for (column,) in cursor.fetchall()]
        new = {
            "run_uuid": "copies.id",
            "start_time": "it.start_time - 3600000 - (%(runs)s - copies.n) * 1000",
            "end_time": "it.end_time - 3600000 - (%(runs)s - copies.n) * 1000",
        } | (
            {
                "value": "CASE it.key WHEN 'sweep_id' THEN 'sweep-' || copies.n / %(sweep)s "
                "WHEN 'config_sha256' THEN md5('c' || copies.n) WHEN 'weights_sha256' THEN md5('w' || copies.n) "
                "ELSE it.value END"
            }
            if of == "tags"
            else {"value": "CASE it.key WHEN 'seed' THEN (copies.n %% %(sweep)s)::text ELSE it.value END"}
            if of == "params"
            else {}
        )
        last = (
            " AND it.step = (SELECT max(step) FROM metrics AS m WHERE m.run_uuid = it.run_uuid AND m.key = it.key)"
            if of == "metrics"
            else ""
        )
        chosen = ", ".join(new.get(column, f"it.{column}") for column in columns)
        cursor.execute(
            f"WITH it AS MATERIALIZED (SELECT * FROM {of} AS it WHERE it.run_uuid = %(template)s{last}) "
            f"INSERT INTO {of} ({', '.join(columns)}) SELECT {chosen} FROM it, copies",
            {"template": template, "runs": RUNS, "sweep": OF_SWEEP},
        )
    cursor.execute("DROP TABLE copies")


ARROW = """
import sys
from pyarrow import csv
print(sum(batch.num_rows for batch in csv.open_csv(sys.argv[1])))
"""


def _rows(folder: Path, number: int) -> Measured:
    """Prepare a CSV of nine columns, and read it by pyarrow alone, with the types that it finds, in blocks."""
    file = folder / "rows.csv"
    if number == 0:
        write_csv(file, ROWS)
    read = watched("-c", ARROW, file)
    yield f"pyarrow reads {ROWS:,} rows", read
    prepared = watched(__file__, "prepare", f"dataset.path={file}", folder / f"cache-{number}")
    yield f"{ROWS:,} rows prepared", {**prepared, "of_arrow": read["processor"] / prepared["processor"]}


def write_csv(file: Path, rows: int) -> None:
    """Write a table of numbers with decimals, whole numbers, categories, and two classes, one of which is rare."""
    import pyarrow as pa
    from pyarrow import csv

    generator, writer = np.random.default_rng(0), None
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        block: dict[str, Any] = {f"x{index}": generator.normal(size=count).round(4) for index in range(5)}
        block |= {"age": generator.integers(18, 90, count), "amount": generator.lognormal(3, 1, count).round(2)}
        block["city"] = np.array([f"city{index}" for index in range(12)])[generator.integers(0, 12, count)]
        block["class"] = np.where(generator.random(count) < 0.02, "fraud", "fine")
        written = pa.table(block)
        writer = writer or csv.CSVWriter(str(file), written.schema)
        writer.write_table(written)
    assert writer is not None
    writer.close()


def _prepare(path: str, cache: str) -> None:
    from equipoise.data.prepare import prepare
    from helpers import composed_dataset

    print(prepare(composed_dataset("dataset=csv", path, "dataset.target=class"), Path(cache)).data_sha256)


def _images(folder: Path, number: int) -> Measured:
    """Write a folder of images into shards, and train on these for an epoch with two workers."""
    project, images, shards = folder / f"project-{number}", folder / "images", folder / f"shards-{number}"
    copy_project(project)
    if number == 0:
        write_images(images)
    words = ("dataset=image_directory", f"dataset.path={images}", f"dataset.image_size=[{SIDE},{SIDE}]")
    into = (f"shards={SHARDS}", f"output={shards}")
    yield f"{IMAGES:,} images into shards", watched(project / "src" / "shards.py", *words, "dataset.channels=1", *into)
    ports = free_port(), free_port()
    workers = [f"127.0.0.1:{port}" for port in ports]
    train = (
        project / "src" / "train.py",
        *("dataset=tfrecord", f"dataset.path={shards}", "model=mlp", "trainer.epochs=1", "trainer.batch_size=1024"),
        *("evaluation.resamples=0", "trainer.resume=false", "trainer.strategy=multi_worker"),
    )

    def environment(index: int) -> dict[str, str]:
        place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        return {**os.environ, "TF_CONFIG": json.dumps(place)}

    other = subprocess.Popen(
        [sys.executable, *map(str, train)], env=environment(1), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        first = watched(*train, environment=environment(0))
    finally:
        other.wait(600)
    yield f"an epoch of {IMAGES:,} images, the first of two workers", first


def write_images(folder: Path) -> None:
    """Write a thousand images of each of ten classes, and names for them until there are a million."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for index in range(OF_IMAGES):
        place = folder / f"class-{index}"
        place.mkdir(parents=True)
        for number in range(IMAGES // OF_IMAGES):
            if number < DIFFERENT:
                pixels = generator.integers(0, 128, (SIDE, SIDE)) + 12 * index
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
            else:
                os.link(place / f"{number % DIFFERENT}.png", place / f"{number}.png")


def _classes(folder: Path, number: int) -> Measured:
    """Train, evaluate, draw and log 10,000 classes."""
    project = folder / f"project-{number}"
    train = copy_project(project)
    write_npz(project / "data.npz", SAMPLES, FEATURES, CLASSES)
    words = ("dataset=npz", f"dataset.path={project / 'data.npz'}", "model=linear", "trainer.epochs=5")
    yield f"{CLASSES:,} classes of {SAMPLES:,} rows, 5 epochs", watched(train, *words, "trainer.resume=false")


PARTS: Mapping[str, Callable[[Path, int], Measured]] = {
    "store": _store,
    "rows": _rows,
    "images": _images,
    "classes": _classes,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["prepare"]:
        _prepare(*sys.argv[2:])
    else:
        print(measure(ROUNDS, sys.argv[1:] or list(PARTS))[1])
