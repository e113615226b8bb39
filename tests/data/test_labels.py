"""Labels as people write them: what is one class, what is none, what is refused, and in what order classes stand."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.core.errors import ConfigError
from equipoise.core.schema import named
from equipoise.data.labels import (
    Labels,
    Spelled,
    alike,
    answers,
    as_text,
    in_array,
    in_order,
    of_known,
    understood,
    with_names,
)
from equipoise.data.other_file import with_test_file
from equipoise.data.prepare import prepare
from helpers import composed_dataset

MISSING = ("", "NA", "nan", "None")


def read(*texts: str | None, missing: Any = MISSING) -> Labels:
    return understood(column(*texts), "the target 'y' of t.csv", missing)


def column(*texts: str | None) -> Spelled:
    distinct = tuple(dict.fromkeys(texts))
    return Spelled(distinct, np.array([distinct.index(text) for text in texts]))


def names(labels: Labels) -> list[str]:
    return [labels.classes[index] for index in labels.indices]


def test_a_class_that_reads_like_no_label_is_told() -> None:
    assert read("a", "b", "n/a").notes == (
        "the target 'y' of t.csv: 'n/a' (1) is read as a class: "
        "where it means that there is no label, remove these rows",
    )
    assert read("a", "b", "n/a", missing=()).notes == (), "who says that every text is a class knows"


def test_bytes_that_are_no_text_are_labels() -> None:
    assert as_text(b"a\xc8") == r"a\xc8"


class TestOneClass:
    def test_white_space_around_a_label_is_no_part_of_it(self) -> None:
        found = read("cat ", "dog", "cat", "\u00a0dog")
        assert names(found) == ["cat", "dog", "cat", "dog"]
        assert found.notes == ("the target 'y' of t.csv: 'cat ' (1) and 'cat' (1) are the class 'cat'; "
                               "'dog' (1) and '\\xa0dog' (1) are the class 'dog'",)  # fmt: skip

    def test_a_number_is_one_class_however_it_is_written(self) -> None:
        found = read("1", "1.0", "01", "2", "+2", "10")
        assert names(found) == ["1", "1", "1", "2", "2", "10"]
        assert found.classes == ("1", "2", "10")
        assert "'1' (1) and '1.0' (1) and '01' (1) are the class '1'" in found.notes[0]

    def test_names_stay_as_they_are_written_where_all_agree(self) -> None:
        assert read("1.0", "2.0", "1.0").classes == ("1.0", "2.0")
        assert read("01", "02", "10").classes == ("01", "02", "10")
        assert read("1.0", "2.0", "1.0").notes == ()

    def test_two_forms_of_one_unicode_text_are_one(self) -> None:
        assert names(read("caf\u00e9", "cafe\u0301", "tea")) == ["caf\u00e9", "caf\u00e9", "tea"]

    @pytest.mark.parametrize("other", ["Cat", "CAT", "cat\u200b", "c at", "\uff43at"])
    def test_classes_that_look_the_same_are_told_with_codes_and_counts(self, other: str) -> None:
        found = read("cat", "cat", other, "dog")
        assert len(found.classes) == 3
        (note,) = found.notes
        assert "'cat' (2)" in note
        assert f"{other!a} (1)" in note
        assert "nearly the same text" in note

    def test_codes_of_numbers_and_text_are_text_and_told(self) -> None:
        found = read("401", "V27", "250", "1.0", "1")
        assert found.classes == ("1", "1.0", "250", "401", "V27"), "by alphabet"
        assert "'1' (1) and '1.0' (1) are different classes" in found.notes[0]
        assert (
            found.notes[1] == "the target 'y' of t.csv holds numbers (401) and text (V27): all of them are read as text"
        )


class TestNoLabel:
    def test_the_hint_says_what_was_read_and_how_to_keep_it(self) -> None:
        with pytest.raises(
            ConfigError,
            match=r"2 rows of the target 'y' of t.csv have no label: "
            r"they read 'None' \(2\).*dataset.missing_labels=\[\]",
        ):
            read("None", "None", "Mild")
        assert read("None", "NA", "Mild", missing=()).classes == ("Mild", "NA", "None")
        assert read("None", "nan", "Mild", missing=["NA"]).classes == ("Mild", "None", "nan")

    @pytest.mark.parametrize("empty", [None, "", "  "])
    def test_nothing_at_all_is_never_a_class(self, empty: str | None) -> None:
        with pytest.raises(ConfigError, match=r"1 row of .* has no label: remove it first$"):
            read(empty, "a", "b", missing=())


class TestQuantities:
    def test_ratings_by_half_stars_are_classes(self) -> None:
        assert read(*["3.5", "4.0", "4.5"] * 5).classes == ("3.5", "4.0", "4.5")

    @pytest.mark.parametrize("texts", [
        ["3.5", "4.0", "4.5"],  # hardly repeated
        [f"{index / 4}" for index in range(1, 60)] * 5,  # many
        ["0.123", "0.5"] * 20,  # long
        ["1e999", "2"] * 20,
        ["inf", "2"] * 20,
    ])  # fmt: skip
    def test_numbers_to_be_predicted_are_refused_with_the_cure(self, texts: list[str]) -> None:
        with pytest.raises(
            ConfigError, match=r"holds numbers such as .*, not classes: divide them into ranges first \(pandas.cut\)"
        ):
            read(*texts)

    @given(st.lists(st.integers(), min_size=2, max_size=50, unique=True))
    def test_whole_numbers_of_any_size_are_classes_in_order_of_value(self, values: list[int]) -> None:
        assert [int(name) for name in read(*map(str, values)).classes] == sorted(values)


class TestOtherFiles:
    def test_the_same_class_written_otherwise(self) -> None:
        assert of_known(column("1.0", "10", "02 "), ("1", "2", "10"), "t", MISSING).tolist() == [0, 2, 1]
        assert of_known(column("TRUE", "false"), ("False", "True"), "t", MISSING).tolist() == [1, 0]
        assert of_known(column("1", "0.50"), ("0.5", "1.0"), "t", MISSING).tolist() == [1, 0]

    def test_another_class_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(
            ConfigError, match="t holds Cat, which the model does not know; it knows cat, dog; did you mean 'cat'"
        ):
            of_known(column("Cat", "dog"), ("cat", "dog"), "t", MISSING)

    @pytest.mark.parametrize(("name", "classes", "meant"), [
        ("False", ("false", "true"), "false"), ("False", ("no", "yes"), "no"), ("True", ("maybe", "no", "yes"), "yes"),
        ("1.0", ("0", "1"), "1"), ("1", ("1", "1.0", "a"), "1"), ("01", ("1", "1.0", "a"), None),
        ("y", ("s", "t", "x"), None),
        ("Cat", ("cat", "dog"), None), ("TRUE", ("0", "1"), None),
    ])  # fmt: skip
    def test_which_class_a_name_means(self, name: str, classes: tuple[str, ...], meant: str | None) -> None:
        assert named(name, classes) == meant


class TestAnswers:
    @pytest.mark.parametrize("words", ["1 0", "1.0 0.0", "TRUE FALSE", "yes no", "Y N", "t f", "on off", "01 00"])
    def test_yes_and_no_in_any_words(self, words: str) -> None:
        yes, no = words.split()
        assert answers(column(yes, no, f" {yes}"), "t").tolist() == [1, 0, 1]

    def test_anything_else_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="t holds 2, maybe beside 0 and 1"):
            answers(column("1", "2", "maybe"), "t")
        with pytest.raises(ConfigError, match="1 row of t has no label"):
            answers(column("1", None), "t")


class TestArrays:
    @pytest.mark.parametrize(("values", "classes"), [
        (np.array([10, 2, 1]), ("1", "2", "10")), (np.array(["10", "2", "1"]), ("1", "2", "10")),
        (np.array([b"b", b"a "]), ("a", "b")), (np.array([True, False]), ("false", "true")),
        (np.array([1.0, 0.0]), ("0", "1")), (np.array([[3], [5]]), ("3", "5")),
        (np.repeat(np.array([0.1, 0.5], np.float32), 5), ("0.1", "0.5")),
    ])  # fmt: skip
    def test_labels_in_arrays_of_any_type(self, values: np.ndarray, classes: tuple[str, ...]) -> None:
        assert in_array(values, "y", MISSING).classes == classes

    def test_one_hot_rows(self) -> None:
        found = in_array(np.eye(4)[[1, 3, 1, 2]], "'y' of a.npz", MISSING)
        assert found.classes == ("1", "2", "3")
        assert found.indices.tolist() == [0, 2, 0, 1]
        assert "one-hot rows" in found.notes[0]
        assert "no sample has a 1 in column 0" in found.notes[1]

    @pytest.mark.parametrize(
        "rows",
        [
            np.array([[1, 1], [0, 1]]),
            np.array([[0.5, 0.5], [0, 1]]),
            np.array([[0, 0], [0, 1]]),
            np.array([["a", "b"]]),
        ],
    )
    def test_rows_that_are_not_one_hot_are_refused(self, rows: np.ndarray) -> None:
        with pytest.raises(ConfigError, match="one-hot"):
            in_array(rows, "y", MISSING)

    def test_missing_numbers_have_no_label(self) -> None:
        with pytest.raises(ConfigError, match="2 rows of y have no label: remove them first"):
            in_array(np.array([1, np.nan, 2, np.nan]), "y", MISSING)


def test_values_of_any_type_as_text() -> None:
    values = [
        True,
        np.bool_(False),
        1.0,
        np.float32(0.1),
        3.5,
        float("nan"),
        None,
        Decimal("1.50"),
        Decimal("10"),
        7,
        b"x",
        "1.0",
    ]
    assert [as_text(value) for value in values] == [
        "true",
        "false",
        "1",
        "0.1",
        "3.5",
        None,
        None,
        "1.5",
        "10",
        "7",
        "x",
        "1.0",
    ]


def test_order_and_likeness_of_names() -> None:
    assert in_order(["10", "2", "1"]) == ("1", "2", "10")
    assert in_order(["10", "2", "b"]) == ("10", "2", "b")
    assert in_order(["-1", "0.5", "0"]) == ("-1", "0", "0.5")
    assert alike(["1", "01", "a", "A", "b", "stra\u00dfe", "STRASSE"]) == [
        ["1", "01"],
        ["a", "A"],
        ["stra\u00dfe", "STRASSE"],
    ]


class TestInFiles:
    def labels(self, folder: Path, frame: pd.DataFrame, *more: str, kind: str = "csv") -> Any:
        (frame.to_csv if kind == "csv" else frame.to_parquet)(folder / f"t.{kind}", index=False)
        dataset = composed_dataset("dataset=csv", f"dataset.path='{folder}/t.{kind}'", "dataset.target=y", *more)
        return prepare(dataset, folder / "cache")

    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_none_is_a_class_where_the_user_says_so(self, kind: str, tmp_path: Path) -> None:
        frame = pd.DataFrame({"x": np.arange(60.0) % 7, "y": ["None", "Mild", "Severe"] * 20})
        with pytest.raises(ConfigError, match=r"they read 'None' \(20\)"):
            self.labels(tmp_path, frame, kind=kind)
        assert self.labels(tmp_path, frame, "dataset.missing_labels=[]", kind=kind).classes == (
            "Mild",
            "None",
            "Severe",
        )

    def test_missing_numbers_in_parquet_are_no_quantities(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"x": np.arange(60.0), "y": [1.0, 2.0, np.nan] * 20})
        with pytest.raises(ConfigError, match=r"20 rows of .* have no label: remove them first"):
            self.labels(tmp_path, frame, kind="parquet")

    def test_dates_that_hardly_occur_twice_are_no_classes(self, tmp_path: Path) -> None:
        days = pd.date_range("2000-01-01", periods=60).strftime("%Y-%m-%d")
        told = (
            r"the target 'y' of .* holds 60 dates such as 2000-01-01, not classes: type the column .* dataset\.target"
        )
        with pytest.raises(ConfigError, match=told):
            self.labels(tmp_path, pd.DataFrame({"x": np.arange(60.0), "y": days}))
        few = pd.DataFrame({"x": np.arange(60.0), "y": [*days[:2]] * 30})
        assert self.labels(tmp_path, few).classes == ("2000-01-01", "2000-01-02")

    def test_the_same_number_in_another_file_is_the_same_class(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"x": np.arange(60.0), "y": ["1", "2", "10"] * 20})
        data = self.labels(tmp_path, frame)
        assert data.classes == ("1", "2", "10")
        frame[:6].assign(y=["1.0", "2.0", "10.0"] * 2).to_csv(tmp_path / "new.csv", index=False)
        other = composed_dataset(
            "dataset=csv",
            f"dataset.path='{tmp_path}/t.csv'",
            "dataset.target=y",
            f"dataset.test_path='{tmp_path}/new.csv'",
        )
        assert with_test_file(data, other, tmp_path / "cache").split("test").labels.tolist() == [0, 1, 2] * 2
        assert prepare(other, tmp_path / "cache").classes == ("1", "2", "10")
        assert any(
            "'1' (20) and '1.0' (2) are the class '1'" in note for note in prepare(other, tmp_path / "cache").notes
        )

    def test_rows_without_a_group_are_told(self, tmp_path: Path) -> None:
        frame = pd.DataFrame(
            {
                "x": np.arange(60.0),
                "g": [f"p{index % 9}" if index % 2 else None for index in range(60)],
                "y": list("ab") * 30,
            }
        )
        found = self.labels(tmp_path, frame, "dataset.group=g")
        assert (
            "dataset.group=g: 30 of 60 samples have no value there, and each of them is a group of its own"
            in found.notes
        )
        assert len(found.split("validation").labels) < 15, "30 rows were one group"


class TestValidation:
    def notes(self, folder: Path, *validation: str) -> list[str]:
        """Of a table whose validation split has these labels."""
        labels = ["a", "b", "c"] * 10 + list(validation) + ["a", "b", "c"]
        part = ["train"] * 30 + ["validation"] * len(validation) + ["test"] * 3
        pd.DataFrame({"x": np.random.default_rng(0).normal(size=len(labels)), "y": labels, "part": part}).to_csv(
            folder / "t.csv", index=False
        )
        dataset = composed_dataset(
            "dataset=csv", f"dataset.path='{folder}/t.csv'", "dataset.target=y", "dataset.split_column=part"
        )
        return [note for note in prepare(dataset, folder / "cache").notes if note.startswith("validation:")]

    def test_a_split_that_cannot_judge_a_class_is_told(self, tmp_path: Path) -> None:
        (note,) = self.notes(tmp_path, "b", "b")
        assert note.startswith(
            "validation: the split has samples of class b alone: none of a, c; "
            "trainer.early_stopping, decision=tuned and"
        )

    def test_a_split_that_lacks_some_is_told(self, tmp_path: Path) -> None:
        (note,) = self.notes(tmp_path, "a", "b")
        assert note.startswith("validation: the split lacks classes: none of c;")

    def test_a_split_of_all_classes_is_not_told(self, tmp_path: Path) -> None:
        assert self.notes(tmp_path, "a", "b", "c") == []


WRITTEN = st.one_of(
    st.integers(-3, 12).map(str),
    st.sampled_from(
        [
            "1.0",
            "01",
            "+1",
            " 1",
            "0.5",
            ".5",
            "5e-1",
            "a",
            "A",
            "a ",
            "á",
            "á",
            "true",
            "TRUE",
            "None",
            "",
            "ﬁ",
            "fi",
            "x\u200b",
            "inf",
        ]
    ),
    st.text(max_size=3),
)


@given(st.lists(WRITTEN, min_size=1, max_size=40), st.booleans())
def test_a_column_is_read_by_its_own_classes_as_it_was_learned(texts: list[str], none_is_missing: bool) -> None:
    missing = ("None",) if none_is_missing else ()
    found = column(*texts)
    unlabelled = sum(not text.strip() or text.strip() in missing for text in texts)
    try:
        labels = understood(found, "t", missing)
    except ConfigError as error:
        refused = str(error)
        assert refused.startswith(f"{unlabelled} row{'s' if unlabelled > 1 else ''} of t " if unlabelled else "t ")
        return
    assert len(labels.classes) >= 2
    assert in_order(labels.classes) == labels.classes
    assert all(name == name.strip() for name in labels.classes)
    assert sorted(set(labels.indices.tolist())) == list(range(len(labels.classes)))
    np.testing.assert_array_equal(of_known(found, labels.classes, "t", missing), labels.indices)


class TestNames:
    def test_names_stand_in_the_order_of_their_codes(self) -> None:
        found = with_names(read("10", "2", "1", "10"), {"1.0": "zebra", "2": "cat", "10": "ant", "11": "none"}, "o")
        assert (found.classes, found.indices.tolist()) == (("zebra", "cat", "ant"), [2, 1, 0, 2])

    def test_codes_of_one_name_are_one_class_and_told(self) -> None:
        found = with_names(read("1", "2", "3"), {"1": "low", "2": "high", "3": "low"}, "dataset.class_names")
        assert (found.classes, found.indices.tolist()) == (("low", "high"), [0, 1, 0])
        assert found.notes == ("dataset.class_names: 1 and 3 are both 'low': each of these is one class",)

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            ({"1": "a"}, "o has no name for the class 2, 3, which the data have; it names 1"),
            ({"1": "a", "1.0": "b", "2": "c", "3": "d"}, "o names the class '1' twice: a and b"),
            ({"1": "a", "2": "a", "3": "a"}, "give each a name of its own"),
        ],
    )
    def test_names_that_do_not_fit_are_refused(self, names: dict[str, str], said: str) -> None:
        with pytest.raises(ConfigError) as caught:
            with_names(read("1", "2", "3"), names, "o")
        assert said in str(caught.value)

    def test_labels_of_several_keep_their_columns(self) -> None:
        several = Labels(("a", "b"), np.array([[0, 1], [1, 1]]))
        assert with_names(several, {"a": "rain", "b": "wind"}, "o").classes == ("rain", "wind")
        with pytest.raises(ConfigError, match="a and b are both 'rain'; give each a name of its own"):
            with_names(several, {"a": "rain", "b": "rain"}, "o")

    def test_another_file_has_codes_or_names(self, tmp_path: Path) -> None:
        rows = "".join(f"{number}.5,{'12'[number % 2]}\n" for number in range(40))
        (tmp_path / "a.csv").write_text(f"x,y\n{rows}")
        (tmp_path / "codes.csv").write_text("x,y\n1.5,2\n2.5,1.0\n")
        (tmp_path / "names.csv").write_text("x,y\n1.5,big cat\n2.5,dog\n")
        (tmp_path / "names.json").write_text('{"1": "dog", "2": "big cat"}')
        typed = [f"dataset.path='{tmp_path}/a.csv'", f"dataset.class_names='{tmp_path}/names.json'"]
        dataset = composed_dataset("dataset=csv", "dataset.target=y", *typed)
        data = prepare(dataset, tmp_path / "cache")
        assert data.classes == ("dog", "big cat")
        for name in ("codes.csv", "names.csv"):
            other = dataset.model_copy(update={"test_path": str(tmp_path / name)})
            judged = with_test_file(data, other, tmp_path / "cache")
            assert judged.split("test").labels.tolist() == [1, 0], name
