"""A user's own files may be gone or damaged by the time that they are read again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.data.originals import unchanged
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.runs.session import Session
from equipoise.runs.start import start
from equipoise.runs.weigh import weigh
from equipoise.tracking.store import open_store
from helpers import composed

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

QUICK = ("trainer.epochs=1", "trainer.threads=1", "trainer.device=cpu")


def pictures(root: Path, suffix: str = ".png") -> list[str]:
    """Two classes of 20 grey images, and what is typed to train on them."""
    generator = np.random.default_rng(0)
    for label in range(2):
        (root / "ab"[label]).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(generator.integers(0, 256, (30, 30)).astype(np.uint8)).save(
                root / "ab"[label] / f"{number}{suffix}"
            )
    return [
        "dataset=image_directory",
        f"dataset.path='{root}'",
        "dataset.image_size=[4,4]",
        "dataset.channels=1",
        "model=linear",
        *QUICK,
    ]


def trained(config: Config, data: Prepared, folder: Path, change: Callable[[], object]) -> None:
    """A run that begins before the change."""
    (folder / "run").mkdir()
    with Session(open_store(folder), folder / "run") as session:
        session.begin(config, data)
        learner = start(config, data)
        with session.opened(config, data, learner):
            change()
            learner.fit(weigh(config, data), lambda *_: None, None)


def first_of(data: Prepared) -> Path:
    """The file of the first training sample."""
    images = data.split("train").features
    return Path(images.root, images.paths[0].decode())


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("suffix", "change", "said"),
    [
        (".png", Path.unlink, "it is no file any more"),
        (".png", a_folder, "it is no file any more"),
        (".png", cut, "it cannot be decoded: it is cut off"),
        (".png", lambda file: file.write_text("text"), "it cannot be decoded: it is no PNG"),
        (".gif", cut, "it cannot be decoded"),
    ],
)
def test_an_image_that_is_gone_or_damaged_ends_a_run_in_one_line(
    suffix: str, change: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    """It was TensorFlow's own error, of a node in its graph."""
    config = composed(*pictures(tmp_path / "p", suffix))
    data = prepare(config.dataset, tmp_path / "cache")
    with pytest.raises(ConfigError) as caught:
        trained(config, data, tmp_path, lambda: change(first_of(data)))
    assert str(caught.value).startswith(f"{first_of(data)} was changed after it was prepared: {said}")
    assert str(caught.value).endswith(
        "put it back as it was, or type the command again, which prepares the images that are there then"
    )
    store = open_store(tmp_path)
    (logged,) = store.client.search_runs([experiment.experiment_id for experiment in store.client.search_experiments()])
    assert logged.info.status == "FAILED"


def test_an_image_that_is_gone_before_the_run_begins_leaves_nothing(tmp_path: Path) -> None:
    config = composed(*pictures(tmp_path / "p"))
    data = prepare(config.dataset, tmp_path / "cache")
    store = open_store(tmp_path)
    shutil.rmtree(tmp_path / "p")
    (tmp_path / "run").mkdir()
    with Session(store, tmp_path / "run") as session:
        session.begin(config, data)
        with pytest.raises(ConfigError, match="was changed after it was prepared"):
            start(config, data)
    assert not list((tmp_path / "run").iterdir())


def test_an_error_that_no_file_explains_stays_what_it_is(tmp_path: Path) -> None:
    import tensorflow as tf

    data = prepare(composed(*pictures(tmp_path / "p")).dataset, tmp_path / "cache")
    with pytest.raises(tf.errors.InvalidArgumentError, match="of ours"), unchanged(data):
        raise tf.errors.InvalidArgumentError(None, None, "of ours")


def test_a_shard_that_is_cut_off(tmp_path: Path) -> None:
    from equipoise.data.write_shards import write_shards

    write_shards(prepare(composed(*pictures(tmp_path / "p")).dataset, tmp_path / "cache"), tmp_path / "shards", 1)
    config = composed("dataset=tfrecord", f"dataset.path='{tmp_path}/shards'", "model=linear", *QUICK)
    data = prepare(config.dataset, tmp_path / "cache")
    shard = Path(data.split("train").features.records.files[0])

    def change() -> None:
        for file in shard.parent.glob("*.tfrecord"):
            file.write_bytes(file.read_bytes()[:200])

    with pytest.raises(OSError, match=f"{shard} was cut off after it was prepared"):
        trained(config, data, tmp_path, change)
