"""How functions and sections become the options of a group."""

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from equipoise.core.registry import Registry
from equipoise.core.schema import Name, Names, OneOf, PerClass, PositiveInt, Section, Separator, arguments, keywords


class Group(Section):
    name: str
    title: str


class Reading(Section):
    separator: Separator
    drop: Names


class Counting(Reading):
    most: PositiveInt


def plain(handed: int, *, path: Name, most: PositiveInt) -> Any:
    return handed, path, most


def grouped(handed: int, *, path: Name, counting: Counting, weights: PerClass) -> Any:
    return handed, path, counting, weights


def checked(values: Mapping[str, Any]) -> Any:
    options: Any = Annotated[
        Group, OneOf(Registry("weighting", {"plain": plain, "grouped": grouped}, lambda function, _: function))
    ]
    return TypeAdapter(options).validate_python(values)


GIVEN = {
    "weights": {"b": 2, "a": 1},
    "most": 3,
    "drop": "id",
    "separator": "tab",
    "path": "t.csv",
    "title": "t",
    "name": "grouped",
}


def test_the_fields_of_a_section_are_keys_like_any_other() -> None:
    assert keywords(plain) == {"path": Name, "most": PositiveInt}
    assert keywords(grouped) == {
        "path": Name,
        "separator": Separator,
        "drop": Names,
        "most": PositiveInt,
        "weights": PerClass,
    }
    assert set(checked(GIVEN).model_dump()) == {"name", "title", *keywords(grouped)}


def test_a_function_is_handed_the_section_and_its_other_options() -> None:
    given = arguments(checked(GIVEN), grouped, ["a", "b"])
    weights = given.pop("weights")
    assert weights.tolist() == [1, 2]
    assert given == {"path": "t.csv", "counting": Counting(separator="\t", drop=("id",), most=3)}
    assert arguments(checked({"name": "plain", "title": "t", "path": "p", "most": 1}), plain) == {
        "path": "p",
        "most": 1,
    }


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"most": 0}, "most"),
        ({"separator": ";;"}, "separator"),
        ({"counting": {}}, "counting"),
        ({"drop": [1.5, []]}, "drop"),
    ],
)
def test_each_key_of_a_section_is_checked_by_its_own_annotation(change: Mapping[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        checked({**GIVEN, **change})
    assert {error["loc"][1] for error in caught.value.errors()} == {where}


def test_a_key_of_a_section_has_no_default() -> None:
    with pytest.raises(ValidationError) as caught:
        checked({key: value for key, value in GIVEN.items() if key != "drop"})
    assert [(error["type"], error["loc"]) for error in caught.value.errors()] == [("missing", ("grouped", "drop"))]
