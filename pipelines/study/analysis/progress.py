"""How much of the design is run: trainings of each of its parts, there and asked for."""

from collections import Counter

from analysis.hypotheses import OTHERS
from analysis.table import CENTRE, TRAINING, Study

SYNTHETIC, BOOSTED, CNN = "synthetic", "boosting", "cnn"
SETTINGS = {"linear": "linear networks", "large": "large networks", CNN: "MNIST's convolutional network"}


def part_of(setting: str, method: str, *, synthetic: bool, divided: bool) -> str:
    """Return which part of the design a training is of.

    Parameters
    ----------
    setting, method : as the table calls them
    divided : whether it is of the second division into folds
    """
    if synthetic:
        return "`synthetic`"
    if method.startswith(BOOSTED):
        return "boosted trees"
    if setting != CENTRE:
        return SETTINGS.get(setting, "other optimizers and decays")
    if divided:
        return "the second division into folds"
    return f"`{method}`" if method in OTHERS else "small networks"


def told(study: Study, planned: tuple[int, int]) -> str:
    """Return how much of the study is there."""
    there = trained(study)
    families = {one.family for one in study.datasets.values()}
    asked = f" of {sum(study.asked.values()):,}" if study.asked else ""
    missing = [f"{name} ({there[name]:,} of {count:,})" for name, count in study.asked.items() if there[name] < count]
    return (
        f"{len(families)} of {planned[1]} families and {len(study.datasets)} of {planned[0]} real data sets are in, by "
        f"{there.total():,}{asked} trainings" + (f"; not whole: {', '.join(missing)}" if missing else "")
    )


def trained(study: Study) -> "Counter[str]":
    """Return how many trainings of each part are in the table."""
    runs = study.table.drop_duplicates(TRAINING)
    synthetic = runs["family"] == SYNTHETIC
    divided = (runs["division"] > 0) & ~synthetic
    each = zip(runs["setting"], runs["method"], synthetic, divided, strict=True)
    return Counter(
        part_of(str(setting), str(method), synthetic=bool(is_synthetic), divided=bool(is_divided))
        for setting, method, is_synthetic, is_divided in each
    )
