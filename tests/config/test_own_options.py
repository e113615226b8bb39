"""The user's own options in the config: composed as conf/ is, and composed anew once their files have changed."""

import os
from pathlib import Path

import pytest
import yaml

from equipoise.config import own_options
from equipoise.config.checked import compose_one
from equipoise.config.model import chosen_own
from equipoise.config.tree import SHIPPED, Tree
from equipoise.core.errors import ConfigError
from equipoise.core.paths import config_folder

TEXT = """
import equipoise


@equipoise.weighting
def mine(counts, *, strength: float = {}):
    return 1 / counts
"""


OWN = """
import equipoise
import numpy as np


@equipoise.weighting
def mine(counts, *, strength: float = 1.0, bias: float = 0.0):
    return strength / counts + bias


@equipoise.dataset
def rows(*, n: int = 40):
    return np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2
"""


def test_an_edited_default_is_composed_in_the_same_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugins").mkdir()
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "plugins" / "edited_default.py"
    for stamp, default in enumerate((1.0, 2.0), start=1):
        file.write_text(TEXT.format(default))
        os.utime(file, ns=(stamp, stamp))
        with SHIPPED.opened():
            config = compose_one(["weighting=mine"])
        assert config.weighting.model_dump()["strength"] == default
        assert [own.name for own in chosen_own(config)] == ["mine"]


def test_a_yaml_takes_what_it_lacks_from_the_option_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """Whatever its file is called; what it includes by itself comes first, as in any Hydra program."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    files = {
        "dataset/rows.yaml": "{name: rows, n: 30, test_fraction: 0.3}",
        "weighting/mine.yaml": "{name: mine, strength: 2.0}",
        "weighting/strong.yaml": "# as name: none\nname: mine\nstrength: 3.0",
        "weighting/stronger.yaml": "defaults: [strong, _self_]\nname: mine\nnormalize: max",
        "weighting/other.yaml": "# not mine\nname: none\nnormalize: none\nschedule: constant\nstart: auto\nshape: auto",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {}
    with Tree(folder=tmp_path).opened():
        for option in ("mine", "strong", "stronger", "other"):
            words = [f"weighting={option}", *(["weighting.bias=7"] if option != "other" else [])]
            found[option] = compose_one([*words, "dataset=rows", "dataset.scale=none", "model=linear"])
    said = {name: config.weighting.model_dump() for name, config in found.items()}
    rest = {"name": "mine", "schedule": "constant", "start": "auto", "shape": "auto", "bias": 7.0}
    assert said["mine"] == {**rest, "strength": 2.0, "normalize": "none"}
    assert said["strong"] == {**rest, "strength": 3.0, "normalize": "none"}
    assert said["stronger"] == {**rest, "strength": 3.0, "normalize": "max"}
    assert "bias" not in said["other"]
    rows = found["mine"].dataset.model_dump()
    assert (rows["n"], rows["test_fraction"], rows["scale"], rows["validation_fraction"]) == (30, 0.3, "none", 0.1)
    assert not [each for each in recwarn if "schema" in str(each.message)], "Hydra calls it deprecated"
    with SHIPPED.opened(), pytest.raises(ConfigError):
        compose_one(["weighting=strong"])
    monkeypatch.chdir(tmp_path.parent)
    for option in ("mine", "strong"):
        with Tree(folder=tmp_path).opened(), pytest.raises(ConfigError, match="Input tag 'mine'"):
            compose_one([f"weighting={option}", "dataset=digits_lt"])


@pytest.mark.parametrize(("group", "like"), [("loss", "custom"), ("weighting", "none")])
def test_the_keys_beside_its_own_are_those_of_the_shipped_options(group: str, like: str) -> None:
    shipped = yaml.safe_load((config_folder() / group / f"{like}.yaml").read_text())
    for key in ("name", "function"):
        shipped.pop(key, None)
    assert own_options.BESIDE[group] == shipped
