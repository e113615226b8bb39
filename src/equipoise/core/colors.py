"""Colours that mean the same in every picture: each weighting has its own, which readers can tell from the others.

`none`, the baseline, is grey, and no other weighting is. A mark or a dash shows what the colour does not, such as the
loss.
"""

import colorsys
import hashlib
import itertools

INK, MUTED = "#333333", "#8a8a8a"
# Colours of Okabe & Ito 2008, which colour-blind readers can tell apart, and a brown, a purple and a wine red that
# differ from these.
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
    """Return the colour of a weighting as `#rrggbb`.

    That of a weighting from elsewhere follows from its name alone, and differs clearly from all of these.
    """
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
