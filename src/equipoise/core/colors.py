"""Colours that mean the same in every picture: one a weighting, by its name, and none that a reader cannot tell from another.

`none`, by which the others are measured, is grey, and nothing else is. What a colour does not say, such as the loss, is said
by a mark or a dash.
"""

import colorsys
import hashlib
import itertools

INK, MUTED = "#333333", "#8a8a8a"
# Seven of Okabe & Ito 2008, which colour-blind readers tell apart, and a brown, a purple and a wine red that stand off from these.
WEIGHTINGS = {
    "none": "#7f7f7f",
    "balanced": "#0072b2",
    "inverse": "#56b4e9",
    "max_ratio": "#009e73",
    "power": "#e69f00",
    "effective_number": "#d55e00",
    "median_frequency": "#8c6d1f",
    "log_smoothed": "#cc79a7",
    "log_damped": "#6a3d9a",
    "manual": "#8b0a3a",
}
APART = 60  # in the cube of 256 values each of red, green and blue


def weighting_color(name: str) -> str:
    """`#rrggbb` of a weighting. One that is not of this project has a colour that follows from its name alone, and stands off from all of these."""
    if name in WEIGHTINGS:
        return WEIGHTINGS[name]
    for attempt in itertools.count():
        hue, lightness, saturation = hashlib.sha256(f"{name} {attempt}".encode()).digest()[:3]
        shares = colorsys.hls_to_rgb(hue / 256, 0.25 + 0.25 * lightness / 256, 0.6 + 0.4 * saturation / 256)
        color = "#" + "".join(f"{round(255 * share):02x}" for share in shares)
        if all(_distance(color, other) >= APART for other in WEIGHTINGS.values()):
            break
    return color


def _distance(first: str, second: str) -> float:
    pairs = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
    return float(sum((one - other) ** 2 for one, other in pairs) ** 0.5)
