"""Several replicas train the weights of one device, for every loss and implementation, uneven last batches included."""

import contextlib
import json
import multiprocessing
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainings
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.methods.models import MODELS, Architecture
from equipoise.runs.resume import made_by
from equipoise.training.cluster import VARIABLE, Cluster, read_cluster
from helpers import REPOSITORY, composed, program_of
from processes import LIMIT
from trainings import HUGE, small_resnet

# A step long enough for a wrong gradient to show.
SMALL = [*trainings.SMALL, "trainer.epochs=3", "trainer.learning_rate=0.01"]
WEIGHED = {
    f"{form} {name}": [f"dataset.labels={form}", f"loss={name}", "weighting=balanced"]
    for form, name in [("sparse", "class_weight"), ("one_hot", "custom")]
}
LOSSES = {
    "focal": ["loss.alpha={0:1,1:2,2:3}"],
    "balanced_softmax": ["loss.implementation=sample_weight"],
    "ldam": ["trainer.optimizer=sgd"],
    "vs": [],
    "poly": [],
    "label_smoothing": [],
    "cost_matrix": ["cost={2:{0:5}}"],
    "predicted_class": ["loss.weights={0:1,1:2,2:3}"],
    "sigmoid": ["dataset.class_counts=[80,13]", "dataset.labels=binary", "loss.pos_weight=auto"],
}
CASES = {
    **WEIGHED,
    "sample_weight": ["loss=sample_weight", "weighting=balanced", "trainer.optimizer=rmsprop"],
    "a last batch of one sample": [
        "loss=class_weight",
        "weighting=balanced",
        "trainer.batch_size=46",
        "trainer.optimizer=sgd",
    ],
    "phases": ["weighting=balanced", "trainer.phases=[{epochs: 1}, {learning_rate: 0.1, epochs: 2}]"],
    "scheduled weights": ["weighting=balanced", "weighting.schedule=ramp", "trainer.optimizer=adamw"],
    "ordinary": [
        *("trainer.weight_decay=0.1", "trainer.clip_norm=0.2", "trainer.ema=0.9"),
        *("trainer.schedule=reduce_on_plateau", "trainer.schedule_patience=1", "trainer.optimizer=sgd"),
    ],
    "sharpness-aware": [
        "trainer.sharpness=sam",
        "weighting=balanced",
        "trainer.optimizer=sgd",
        "trainer.clip_norm=0.2",
    ],
    "mixed samples": ["loss=custom", "dataset.mix=remix", "weighting=balanced"],
    "drawn samples": ["dataset.sampling=class_balanced"],
    "stopped early": [
        "trainer.epochs=40",
        "trainer.early_stopping=2",
        "trainer.learning_rate=0.3",
        "trainer.monitor=val/log_loss",
        "trainer.optimizer=sgd",
    ],
    **{
        name: [f"loss={name}", "weighting=none" if name == "sigmoid" else "weighting=power", *more]
        for name, more in LOSSES.items()
    },
}
SEVERAL_LABELS = [
    "dataset=multilabel",
    "dataset.targets=[a,b]",
    "loss=sigmoid",
    "weighting=balanced",
    "model=mlp",
    "model.hidden=[8]",
]
IMAGES = [
    "dataset=digits_lt",
    "model=cnn",
    "model.filters=[4]",
    "model.hidden=8",
    "model.dropout=0.0",
    "weighting=balanced",
    "trainer.epochs=1",
    "trainer.batch_size=50",
]
NORMALISED = ["dataset=digits_lt", "model=resnet", "trainer.epochs=1", "trainer.batch_size=50", "trainer.optimizer=sgd"]
TOLERANCE = 2e-6

fork = multiprocessing.get_context("forkserver")
fork.set_forkserver_preload(["tensorflow", "keras", "sklearn.metrics", "pandas", "hydra", "pydantic"])


def several_labels(folder: Path) -> list[str]:
    """A table of two labels, as its overrides."""
    x = np.random.default_rng(0).normal(size=(150, 2))
    rows = [f"{a:.4f},{b:.4f},{int(a > 1)},{int(b > -0.5)}" for a, b in x]
    (folder / "table.csv").write_text("\n".join(["x,y,a,b", *rows]))
    return [*SEVERAL_LABELS, f"dataset.path='{folder}/table.csv'", "trainer.epochs=2"]


def weighted_rows(folder: Path, loss: str) -> list[str]:
    """Arrays whose rows have weights, as their overrides."""
    generator, y = np.random.default_rng(0), np.repeat([0, 1, 2], [60, 30, 15])
    np.savez(folder / "rows.npz", x=generator.normal(size=(105, 4)) + y[:, None], y=y, w=generator.random(105) * 3 + 1)
    of_file = ["dataset=npz", f"dataset.path='{folder}/rows.npz'", "dataset.weight=w", f"loss={loss}"]
    return [
        *of_file,
        "model=mlp",
        "model.hidden=[8]",
        "trainer.batch_size=16",
        "trainer.epochs=3",
        "weighting=balanced",
    ]


def embedded(folder: Path) -> list[str]:
    """A table with a column of thirty categories, as its overrides."""
    generator = np.random.default_rng(0)
    rows = [f"c{generator.integers(30)},{generator.normal():.4f},{'ab'[number % 3 // 2]}" for number in range(150)]
    (folder / "cities.csv").write_text("\n".join(["city,x,y", *rows]))
    return [
        *("dataset=csv", f"dataset.path='{folder}/cities.csv'", "dataset.target=y", "dataset.max_categories=20"),
        *("model=mlp", "model.hidden=[8]", "weighting=balanced", "trainer.batch_size=16", "trainer.epochs=2"),
        *("trainer.optimizer=sgd", "trainer.clip_norm=0.5"),
    ]


def fit(folder: Path, *overrides: str, interrupt: bool = False) -> tuple[list[Any], list[dict[str, float]]]:
    """Weights and history, of a training that is interrupted after its second epoch and gone on with, if so asked."""
    from equipoise.runs.weigh import weigh
    from equipoise.training import fit as training
    from equipoise.training.checkpoints import Checkpoints
    from equipoise.training.graph import Compiled

    config = composed(*overrides)
    data = prepare(config.dataset, folder)
    history: list[dict[str, float]] = []

    pending = [InterruptedError()] if interrupt else []

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        history.append(metrics)
        if epoch == 1 and pending:
            raise pending.pop()

    (folder / "run").mkdir(exist_ok=True)
    for _ in range(1 + interrupt):
        history.clear()
        built = Compiled(config, data)
        kept = Checkpoints(folder / "run", made_by(config, data), first=0) if interrupt else None
        with contextlib.suppress(InterruptedError):
            training.fit(built, config, data, weigh(config, data), on_epoch, kept)
    return built.model.get_weights(), history


def fit_by_keras(folder: Path, *overrides: str) -> list[Any]:
    """The weights that Keras's own fit leaves under the strategy."""
    from equipoise.training import graph
    from equipoise.training.engines import engine
    from equipoise.training.engines.keras_fit import KerasFit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "choice_of", lambda *_: engine.Choice(KerasFit, False, False, ""))
        patch.setattr(engine, "STEPS_PER_CALL", 1)  # of more it makes a graph that TensorFlow refuses
        return fit(folder, *overrides)[0]


def compare(replicas: int, cases: dict[str, list[str]], folder: Path) -> None:
    """Write down how far the replicas' weights and history are from those of one device."""
    from equipoise.training import runtime

    runtime.start("cpu", 1, deterministic=True, strategy="mirrored", replicas=replicas)
    MODELS.shipped["resnet"] = Architecture(small_resnet, dimensions=3)  # type: ignore[index]
    mirrored = ["trainer.strategy=mirrored", f"trainer.replicas={replicas}"]
    found, usual = {}, "sparse class_weight"
    for name, overrides in cases.items():
        single, several = fit(folder, *overrides), fit(folder, *overrides, *mirrored)
        if name == usual:
            alone = single[0]
        found[name] = {
            "weights": max(
                float(np.abs(left - right).max()) for left, right in zip(single[0], several[0], strict=True)
            ),
            "moved": max(float(np.abs(left).max()) for left in single[0]),
            "history": max(
                abs(left[key] - right[key]) for left, right in zip(single[1], several[1], strict=True) for key in left
            ),
            "epochs": len(single[1]),
        }
    once, twice, broken = (
        fit(folder, *cases[usual], "model.dropout=0.3", *mirrored, interrupt=end) for end in (False, False, True)
    )
    found["bits"] = [
        [array.tobytes().hex() for array in weights] + [json.dumps(history)]
        for weights, history in (once, twice, broken)
    ]
    found["by_keras"] = max(
        float(np.abs(left - right).max())
        for left, right in zip(alone, fit_by_keras(folder, *cases[usual], *mirrored), strict=True)
    )
    messages = []
    for options in ([], mirrored):
        with pytest.raises(ConfigError) as error:
            fit(folder, *SMALL, *HUGE, *options)
        messages.append(str(error.value))
    found["diverged"] = messages
    (folder / "found.json").write_text(json.dumps(found))


@pytest.fixture(scope="module", params=[2, 4])
def found(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `compare` found on so many logical devices, which need a process of their own."""
    folder = tmp_path_factory.mktemp("replicas")
    cases = (
        {name: [*SMALL, *options] for name, options in CASES.items()}
        if request.param == 2
        else {name: [*SMALL, *CASES[name]] for name in list(CASES)[:4]}
    )
    cases |= {"several labels": several_labels(folder), "images": IMAGES, "batch norm": NORMALISED}
    cases |= {"embeddings": embedded(folder)} if request.param == 2 else {}
    cases |= {f"weighted rows {loss}": weighted_rows(folder, loss) for loss in ("class_weight", "custom")}
    process = fork.Process(target=compare, args=(request.param, cases, folder))
    process.start()
    process.join()
    assert process.exitcode == 0
    return json.loads((folder / "found.json").read_text())


@pytest.mark.slow
def test_the_weights_are_those_of_one_device(found: dict[str, Any]) -> None:
    for name, measured in found.items():
        if name in ("bits", "by_keras", "diverged"):
            continue
        # Of all replicas together, a variance is a difference of sums.
        tolerance = TOLERANCE * (10 if name == "batch norm" else 1)
        assert measured["weights"] < tolerance * max(1, measured["moved"]), name
        assert measured["history"] < 10 * tolerance, name
        assert measured["epochs"] < 40, "early stopping stops"
    assert found["by_keras"] > 500 * TOLERANCE, "Keras's own fit takes the mean of means, and this test would see it"


@pytest.mark.slow
def test_replicas_repeat_their_bits_also_after_an_interruption(found: dict[str, Any]) -> None:
    once, twice, broken = found["bits"]
    assert once == twice == broken


@pytest.mark.slow
def test_divergence_is_told_as_on_one_device(found: dict[str, Any]) -> None:
    single, mirrored = found["diverged"]
    assert single == mirrored
    assert "in epoch 1 at step 1 of 6" in single


def cluster(index: int = 0, type: str = "worker", **jobs: list[str]) -> str:
    return json.dumps({"cluster": jobs or {"worker": ["a:1", "b:2"]}, "task": {"type": type, "index": index}})


def test_the_cluster_is_read_as_tensorflow_defines_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, cluster(1))
    assert read_cluster() == Cluster(("a:1", "b:2"), 1)
    monkeypatch.setenv(VARIABLE, cluster(0, chief=["c:3"], worker=["a:1", "[::1]:2"]))
    assert read_cluster() == Cluster(("c:3", "a:1", "[::1]:2"), 1)
    assert not read_cluster().is_chief
    monkeypatch.setenv(VARIABLE, cluster(0, "chief", chief=["c:3"], worker=["a:1"]))
    assert read_cluster().is_chief


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "needs TF_CONFIG in the environment of each worker: export TF_CONFIG="),
        ("{", "TF_CONFIG is no valid JSON"),
        ("[]", "TF_CONFIG: must be a valid dictionary"),
        (cluster(2), "task worker 2 is none of the 2 in cluster.worker"),
        (cluster(-1), "TF_CONFIG: task.index=-1: must be greater than or equal to 0"),
        (cluster(type="evaluator"), "TF_CONFIG: task.type=evaluator: must be 'chief' or 'worker'"),
        (cluster(worker=["a:1"], ps=["b:2"]), r"TF_CONFIG: cluster.ps=\['b:2'\]: there is no such option"),
        (cluster(worker=["a"]), "TF_CONFIG: cluster.worker.0=a: must match pattern"),
        (cluster(worker=["a:1", "a:1"]), "the same address stands twice"),
    ],
)
def test_a_cluster_that_is_none_is_refused(text: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if text is not None:
        monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigError, match=said):
        read_cluster()


def waiting(patience: float, joining: float, mine: int, others: int) -> "subprocess.CompletedProcess[str]":
    """A process that waits for the other worker, and then never ends."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import time; from equipoise.training import cluster\n"
        f"cluster.PATIENCE, cluster.REMINDER, cluster.JOINING = {patience}, 0.1, {joining}\n"
        f"with cluster.met(cluster.Cluster(('127.0.0.1:{mine}', '127.0.0.1:{others}'), 0)):\n    time.sleep(100)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(REPOSITORY / "src")], capture_output=True, text=True, timeout=LIMIT
    )


def test_waiting_for_another_worker_comes_to_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        taken, answering = free.getsockname()[1], other.getsockname()[1]
        assert f"worker 0 cannot listen on port {taken}" in waiting(1, 1, taken, answering).stderr
        free.close()
        gone = waiting(60, 0.3, taken, answering)
        assert (gone.returncode, gone.stderr.startswith("error: a worker went away before all were connected")) == (
            1,
            True,
        ), gone
    absent = waiting(1, 60, taken, answering)
    assert f"still waiting for worker 1 (127.0.0.1:{answering})" in absent.stdout
    assert f"ConnectionError: worker 1 (127.0.0.1:{answering}) did not come within 1 seconds" in absent.stderr


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer.replicas=2"], "trainer.replicas=2 with trainer.strategy=single has no effect"),
        (["trainer.strategy=multi_worker", "trainer.replicas=2"], "it is for trainer.strategy=mirrored"),
        (["trainer.strategy=mirrored", "trainer.replicas=33"], "cannot share a batch of trainer.batch_size=32"),
        (["trainer.strategy=mirrored", "trainer.jit=true"], "XLA cannot compile a step that waits for other replicas"),
        (["trainer.strategy=multi_worker", "trainer.precision=mixed_float16"], "use mixed_bfloat16"),
    ],
)
def test_options_that_replicas_cannot_take_are_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        composed(*overrides)


def test_a_stage_of_the_pipeline_is_one_process() -> None:
    stage = program_of("pipelines/train.py")
    with pytest.raises(ConfigError, match="a stage is one process"):
        stage.step(composed("trainer.strategy=multi_worker"))
