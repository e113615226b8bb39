"""The file of predictions is never one of those that are read."""

from pathlib import Path

import pytest

from data_files import write
from equipoise.core.errors import ConfigError
from equipoise.serving.outputs import checked_output


@pytest.mark.parametrize("name", ["a.csv", "new.csv", "deep/new.csv"])
def test_the_output_lies_outside_the_input_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    write(tmp_path / "parts" / "a.csv", "x,y\n1,2\n")
    with pytest.raises(ConfigError, match=r"output=.* lies in the input folder"):
        checked_output(str(tmp_path / "parts" / name), str(tmp_path / "parts"))
    assert checked_output(str(tmp_path / "p.csv"), str(tmp_path / "parts")) == tmp_path / "p.csv"


@pytest.mark.parametrize("source", ["parts", "parts/*.csv", "real.csv"])
def test_the_output_is_no_file_that_is_read_by_another_name(source: str, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    write(tmp_path / "real.csv", "x,y\n1,2\n")
    (tmp_path / "parts" / "a.csv").symlink_to(tmp_path / "real.csv")
    with pytest.raises(ConfigError, match=r"output=.*real.csv is the input, which would be lost"):
        checked_output(str(tmp_path / "real.csv"), str(tmp_path / source))
