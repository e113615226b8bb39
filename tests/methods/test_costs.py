"""Costs of confusions, typed or read from a CSV."""

from typing import Any

import pytest

from equipoise.core.errors import ConfigError
from equipoise.methods.costs import cost_matrix


def test_a_confusion_that_is_not_named_costs_one() -> None:
    assert cost_matrix({"b": {"a": 5.0}}, ["a", "b", "c"]).tolist() == [[0, 1, 1], [5, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"x": {"a": 1.0}}, "cost names the class 'x'"),
        ({"a": {"x": 1.0}}, "cost names the class 'x'"),
        ({"a": {"a": 1.0}}, r"cost\.a\.a is not 0"),
        ({"a": {"b": 0.0}, "b": {"a": 0.0}}, "every confusion costs 0"),
    ],
)
def test_costs_that_make_no_sense_are_refused(typed: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cost_matrix(typed, ["a", "b"])


def test_a_csv_is_the_mapping_that_one_could_have_typed(tmp_path: Any) -> None:
    from equipoise.config.model import config_sha256
    from helpers import composed

    file = tmp_path / "costs.csv"
    header = "true," + ",".join("0123456789")
    full = {
        true: {p: 0.0 if true == p else 5.0 if (true, p) == ("4", "9") else 1.0 for p in "0123456789"}
        for true in "0123456789"
    }
    rows = [f"{true}," + ",".join(map(str, row.values())) for true, row in full.items()]
    file.write_text("\n".join([header, *rows]) + "\n")
    config = composed(f"cost='{file}'")
    assert config.cost is not None
    assert config.cost["4"]["9"] == 5.0
    assert config.cost["9"]["4"] == 1.0
    typed = (
        "{" + ",".join(f"{t}:{{" + ",".join(f"{p}:{v}" for p, v in row.items()) + "}" for t, row in full.items()) + "}"
    )
    assert config_sha256(config) == config_sha256(composed(f"cost={typed}")), (
        "the digest is that of the costs, not of the file's name"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,0,1\n0,0,x\n", "'x' in the row of '0' is no number"),
        ("t,0,1\n0,0\n", "the row of '0' must hold"),
        ("", "no row of costs"),
        ("t,0,1\n", "no row of costs"),
    ],
)
def test_a_csv_that_is_none_is_refused(text: str, message: str, tmp_path: Any) -> None:
    from helpers import composed

    file = tmp_path / "costs.csv"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        composed(f"cost='{file}'", "loss=cost_matrix")
