"""Colours by name: distinct, grey for `none` alone, and the same whatever stands beside."""

import colorsys
import itertools

import pytest

from equipoise.core.colors import WEIGHTINGS, weighting_color
from equipoise.methods.weighting import STRATEGIES

OWN = ["tail_boost", "mine", "x", "seltene_klassen", "重み"]


def parts(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color.removeprefix("#")))


def test_every_shipped_weighting_and_a_users_own_have_colours_that_can_be_told_apart() -> None:
    assert set(WEIGHTINGS) <= set(STRATEGIES)
    colors = [weighting_color(name) for name in (*STRATEGIES, *OWN)]
    for first, second in itertools.combinations(colors, 2):
        assert sum(abs(one - other) for one, other in zip(parts(first), parts(second), strict=True)) > 40, (
            first,
            second,
        )


def test_only_none_is_grey() -> None:
    for name in (*STRATEGIES, *OWN, *map(str, range(300))):
        red, green, blue = (part / 255 for part in parts(weighting_color(name)))
        assert (colorsys.rgb_to_hls(red, green, blue)[2] < 0.2) is (name == "none"), name


@pytest.mark.parametrize(("name", "color"), [("tail_boost", "#94b822"), ("balanced", "#0072b2")])
def test_a_colour_follows_from_the_name_alone(name: str, color: str) -> None:
    assert weighting_color(name) == color
