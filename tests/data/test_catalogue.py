"""The records of the datasets, and what they say before any data are read."""

from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from PIL import Image

from equipoise.data.catalogue import DATASETS
from equipoise.data.types import Raw
from helpers import composed_dataset


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_is_divided_here_if_its_function_returns_it_in_one_piece(name: str) -> None:
    kind = DATASETS[name]
    assert kind.divided is (get_type_hints(kind.function)["return"] is Raw)


def lacking(option: str, *overrides: str) -> str | None:
    dataset = composed_dataset("model=mlp", *overrides)
    return DATASETS[dataset.name].lacks_labels(dataset, option)


def test_a_table_lacks_the_columns_of_its_labels(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("x;y\n1;a\n")
    of_class = ["dataset=csv", "dataset.path=other.csv", f"dataset.test_path='{table}'", "dataset.separator=';'"]
    assert lacking("test_path", *of_class, "dataset.target=y") is None
    assert lacking("test_path", *of_class, "dataset.target=z") == f"{table} has no 'z' (dataset.target)"
    of_labels = ["dataset=multilabel", f"dataset.path='{table}'", "dataset.separator=';'", "dataset.targets=[y,u,v]"]
    assert lacking("path", *of_labels) == f"{table} has no 'u, v' (dataset.targets)"


def test_arrays_lack_the_array_of_their_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)), y=np.arange(2))
    named = ["dataset=npz", f"dataset.path='{tmp_path}/a.npz'"]
    assert lacking("path", *named) is None
    assert lacking("path", *named, "dataset.target=z") == f"{tmp_path}/a.npz has no 'z' (dataset.target)"
    (tmp_path / "s.ts").write_text("@data\n1,2:a\n")
    assert lacking("path", "dataset=series", f"dataset.path='{tmp_path}/s.ts'") is None


def test_images_lack_the_folders_of_their_classes(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    named = ["dataset=image_directory", f"dataset.path='{tmp_path}'"]
    Image.new("L", (3, 3)).save(tmp_path / "cat" / "0.png")
    assert lacking("path", *named) is None
    Image.new("L", (3, 3)).save(tmp_path / "0.png")
    assert lacking("path", *named) is None, "an image beside the classes"
    (tmp_path / "cat" / "0.png").unlink()
    (tmp_path / "cat").rmdir()
    assert lacking("path", *named) == f"{tmp_path} holds images, and no folder for each class"
