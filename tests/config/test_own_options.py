"""The user's own options in the config: composed as conf/ is, and composed anew once their files have changed."""

import os
from pathlib import Path

import pytest
import yaml

from equipoise.config import own_options
from equipoise.config.model import chosen_own
from equipoise.config.overrides import compose_one
from equipoise.config.tree import SHIPPED
from equipoise.core.paths import config_folder

TEXT = """
import equipoise


@equipoise.weighting
def mine(counts, *, strength: float = {}):
    return 1 / counts
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


@pytest.mark.parametrize(("group", "like"), [("loss", "custom"), ("weighting", "none")])
def test_the_keys_beside_its_own_are_those_of_the_shipped_options(group: str, like: str) -> None:
    shipped = yaml.safe_load((config_folder() / group / f"{like}.yaml").read_text())
    for key in ("name", "function"):
        shipped.pop(key, None)
    assert own_options.BESIDE[group] == shipped
