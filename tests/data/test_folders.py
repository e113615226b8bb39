"""Which folders are splits, which are classes, and that no file in a class is passed over in silence."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equipoise.core.errors import ConfigError
from equipoise.data.images.folders import listed
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from helpers import composed_dataset


def images(folder: Path, count: int = 1, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(folder / f"{index}{suffix}")


def tree(root: Path, *folders: str) -> Path:
    for folder in folders:
        images(root / folder)
    return root.resolve()


def prepared(root: Path, *more: str) -> Prepared:
    return prepare(
        composed_dataset("dataset=image_directory", f"dataset.path='{root}'", "dataset.image_size=[4,4]", *more),
        root.parent / "cache",
    )


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("Train", "Val", "Test"),
        ("TRAINING", "validation", "testing"),
        ("train", "dev", "test"),
    ],
)
def test_splits_are_known_by_their_usual_names(names: tuple[str, str, str], tmp_path: Path) -> None:
    root = tree(tmp_path / "images", *(f"{split}/{name}" for split in names for name in ("cat", "dog")))
    images(root / "__MACOSX" / "cat")
    (root / "readme.md").write_text("what this is")
    found, notes = listed(root)
    assert {(folder.name, folder.split, folder.paths[0].decode().split("/")[0]) for folder in found} == {
        (name, place, split) for place, split in enumerate(names, start=1) for name in ("cat", "dog")
    }
    assert notes == []


@pytest.mark.parametrize(
    ("names", "cut"),
    [(("train",), ("test", "validation")), (("Train", "testing"), ("validation",)), (("train", "valid"), ("test",))],
)
def test_a_missing_split_is_cut_from_train_and_noted(
    names: tuple[str, ...], cut: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "images"
    for split in names:
        images(root / split / "a", 20)
        images(root / split / "b", 20)
    data = prepared(root)
    assert all(
        any(f"the data name no {split} split: it is cut from train" in note for note in data.notes) for split in cut
    )
    for split in {"validation", "test"} - set(cut):
        assert len(data.split(split).labels) == 40


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (
            ("train/a", "train/b", "test/a", "extra/a"),
            "holds the folder extra beside the splits test, train: move it elsewhere",
        ),
        (("train/a", "val/a", "validation/a"), "the folders val, validation are all the validation split: merge them"),
        (("val/a", "test/b"), "has the splits test, val and no folder train to learn from"),
        (("train", "test"), "the folders test, train look like splits, not like classes, and test, train holds files"),
        (
            ("train/a", "train/b", "test"),
            "look like splits, not like classes, and test holds files that are in no folder of a class",
        ),
        (
            ("train_images/a", "train_images/b", "test_images/a"),
            "the folders test_images, train_images look like splits",
        ),
        (("train2017/a", "val2017/a", "notes"), "the folders train2017, val2017 look like splits"),
        (
            ("one/cat", "one/dog", "two/cat", "two/dog"),
            "the folders one, two all hold the folders cat, dog, so that these may be the classes",
        ),
        (("train", "val"), "if they are classes, rename them"),
        (("data/cat", "data/dog"), "images of one class only (data); .*did you mean dataset.path=.*/data?"),
    ],
)
def test_folders_that_may_be_splits_do_not_become_classes(folders: tuple[str, ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(").replace(")", r"\)").replace("/data?", r"/data\?")):
        listed(tree(tmp_path / "images", *folders))


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "bus", "car"),  # vehicles
        ("cat/images", "dog/images"),
        ("cat/front", "cat/back", "dog/front"),
        ("bullet_train", "freight_train"),
        ("constraint", "latest"),
    ],
)
def test_classes_stay_classes(folders: tuple[str, ...], tmp_path: Path) -> None:
    found, notes = listed(tree(tmp_path / "images", *folders))
    assert sorted({folder.name for folder in found}) == sorted({folder.split("/")[0] for folder in folders})
    assert {folder.split for folder in found} == {0}
    assert notes == []


def test_every_file_of_a_class_is_read_or_counted_and_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "images", "cat", "dog")
    images(root / "bird", 3, ".gif")
    for suffix in (".jfif", ".JPG", ".PNG", ".webp", ".bmp", ".jpe", ""):
        shutil.copy(root / "cat" / "0.png", root / "dog" / f"copy{suffix}")  # what it is called counts for nothing
    shutil.copy(root / "cat" / "0.png", root / "dog" / "photo.tiff")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png"):
        (root / "dog" / name).write_bytes(b"of a system")
    for name in ("a.txt", "b.tga", "c.xml", "d.npy"):
        (root / "dog" / name).write_bytes(b"no image")
    os.mkfifo(root / "dog" / "e.pipe")
    (root / "annotations").mkdir()
    (root / "annotations" / "0.xml").write_text("<xml/>")
    shutil.copy(root / "cat" / "0.png", root / "cover.png")
    found, notes = listed(root)
    assert {folder.name: len(folder.paths) for folder in found} == {"bird": 3, "cat": 1, "dog": 9}
    assert notes[0].startswith("6 files are no PNG, JPEG, BMP, GIF, TIFF or WebP and are not read: ")
    assert notes[1:] == [
        "the folder annotations holds no image, and is no class",
        "1 image stands in no folder of a class and is not read: cover.png",
    ]


def test_prepared_data_carry_the_notes_of_their_folders(tmp_path: Path) -> None:
    root = tree(tmp_path / "images")
    for name in ("cat", "dog"):
        images(root / name, 12)
    (root / "dog" / "list.txt").write_text("0.png")
    Image.new("RGB", (4, 4)).save(
        root / "dog" / "anim.webp", save_all=True, append_images=[Image.new("RGB", (4, 4), "red")]
    )
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(root / "cat" / "clear.png")
    Image.new("CMYK", (4, 4)).save(root / "cat" / "print.jpg")
    data = prepared(root)
    assert data.counts.sum() == 27 - sum(len(data.split(name).labels) for name in ("validation", "test"))
    assert [note for note in data.notes if "leakage" not in note] == [
        "1 file is no PNG, JPEG, BMP, GIF, TIFF or WebP and is not read: dog/list.txt",
        "1 image is transparent in part: it is read as on a mid-grey ground",
        "1 image is animated, and its first frame is read: dog/anim.webp",
    ]


def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    def refused(change: Callable[[Path], object], said: str, name: str) -> None:
        root = tree(tmp_path / name, "a", "b")
        change(root)
        with pytest.raises(ConfigError, match=said):
            listed(root)

    refused(lambda root: os.symlink("/etc", root / "c"), "is a link that leaves", "1")
    refused(lambda root: os.symlink("/etc/hostname", root / "a" / "x.png"), "is a link that leaves", "2")
    root = tree(tmp_path / "3", "a", "b")
    os.symlink("/etc/hostname", root / "a" / "x.txt")  # no image, and not followed
    assert listed(root)[1] == ["1 file is no PNG, JPEG, BMP, GIF, TIFF or WebP and is not read: a/x.txt"]


def test_sizes_and_times_are_of_each_file(tmp_path: Path) -> None:
    root = tree(tmp_path / "images", "a", "b")
    os.utime(root / "a" / "0.png", ns=(5, 5))
    (folder, _), _ = listed(root)
    np.testing.assert_array_equal(folder.states, [[(root / "a" / "0.png").stat().st_size, 5]])


def test_a_link_to_another_class_gives_no_image_two_classes(tmp_path: Path) -> None:
    root = tree(tmp_path / "images", "cat", "dog")
    os.symlink("cat", root / "kitty")
    with pytest.raises(ConfigError, match="the folders cat, kitty are one and the same, by a link: remove it"):
        listed(root)


def test_folders_of_folders_are_told_by_both_names(tmp_path: Path) -> None:
    _, notes = listed(tree(tmp_path / "images", "animal/cat", "animal/dog", "plant/oak", "plant/rose"))
    assert notes == [
        f"the classes are the folders animal, plant of {(tmp_path / 'images').resolve()}; "
        "if those in them (cat, dog, oak, rose) are meant, move these up"
    ]


def test_folders_and_files_of_no_class_are_counted(tmp_path: Path) -> None:
    root = tree(tmp_path / "images", "cat", "dog")
    for name in ("e1", "e2"):
        (root / name).mkdir()
    assert listed(root)[1] == ["the folders e1, e2 hold no image, and are no classes"]
    scans = tmp_path / "scans"
    for name in ("a", "b"):
        (scans / name).mkdir(parents=True)
        (scans / name / "0.tga").write_bytes(b"II*")
    with pytest.raises(ConfigError, match=r"; 2 files are no PNG, JPEG, BMP, GIF, TIFF or WebP: a/0.tga, b/0.tga$"):
        listed(scans)
    with pytest.raises(ConfigError, match=r"; 1 image stands in the folder itself$"):
        listed(tree(tmp_path / "flat", "."))
