"""Functions that resample a training split: new rows of rare classes, or fewer of those at the borders of others.

A function takes a seed and returns an object of imbalanced-learn: its `fit_resample` makes features, (n, features), and
labels, (n,), of others. The library is imported when one is called, not before.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.errors import ConfigError, listing
from equipoise.core.plugins import Own
from equipoise.core.schema import Floats, Integers

MODULE, PACKAGE = "imblearn", "imbalanced-learn"
Neighbours = Annotated[int, Field(ge=1, le=10_000)]
# Which classes get rows: all up to the largest, the rarest up to the largest, or of two the rarer up to a ratio.
Grown = Literal["auto", "minority"] | Annotated[float, Field(gt=0, le=1)]
# Which classes lose rows: all but the rarest, the largest, or all.
Cleaned = Literal["auto", "majority", "all"]
Rows = tuple[Floats, Integers]


def smote(seed: int, *, k_neighbors: Neighbours = 5, sampling_strategy: Grown = "auto") -> Any:
    """New rows x_i + u (x_j - x_i), u from U(0, 1), x_j one of k nearest rows of the class (Chawla et al. 2002)."""
    from imblearn.over_sampling import SMOTE

    return SMOTE(k_neighbors=k_neighbors, sampling_strategy=sampling_strategy, random_state=seed)


def smote_nc(
    seed: int,
    categories: Sequence[int],
    *,
    k_neighbors: Neighbours = 5,
    sampling_strategy: Grown = "auto",
) -> Any:
    """SMOTE of quantities, and of each categorical column what most of the neighbours have (Chawla et al. 2002, 6.1).

    Two categories that differ are as far apart as the median standard deviation of the quantities in the class.
    """
    from imblearn.over_sampling import SMOTENC

    return SMOTENC(list(categories), k_neighbors=k_neighbors, sampling_strategy=sampling_strategy, random_state=seed)


def borderline_smote(
    seed: int,
    *,
    k_neighbors: Neighbours = 5,
    m_neighbors: Neighbours = 10,
    kind: Literal["borderline-1", "borderline-2"] = "borderline-1",
    sampling_strategy: Grown = "auto",
) -> Any:
    """SMOTE of rows in danger alone: half or more, not all, of m nearest rows are of others (Han et al. 2005).

    `borderline-2` also goes towards rows of other classes, half of the way at most.
    """
    from imblearn.over_sampling import BorderlineSMOTE

    return BorderlineSMOTE(
        k_neighbors=k_neighbors,
        m_neighbors=m_neighbors,
        kind=kind,
        sampling_strategy=sampling_strategy,
        random_state=seed,
    )


def adasyn(seed: int, *, n_neighbors: Neighbours = 5, sampling_strategy: Grown = "auto") -> Any:
    """SMOTE, with more new rows about a row the more of its k nearest rows are of other classes (He et al. 2008)."""
    from imblearn.over_sampling import ADASYN

    return ADASYN(n_neighbors=n_neighbors, sampling_strategy=sampling_strategy, random_state=seed)


def rose(
    seed: int,
    *,
    shrinkage: Annotated[float, Field(ge=0, le=1000)] = 1.0,
    sampling_strategy: Grown = "auto",
) -> Any:
    """Rows drawn with replacement, plus normal noise of h s_j in feature j (Menardi & Torelli 2014).

    s_j is the class's standard deviation, h = shrinkage (4 / ((d + 2) n_c))^(1 / (d + 4)) for d features.
    """
    from imblearn.over_sampling import RandomOverSampler

    return RandomOverSampler(shrinkage=shrinkage, sampling_strategy=sampling_strategy, random_state=seed)


def tomek(seed: int, *, sampling_strategy: Cleaned = "auto") -> Any:
    """Without rows in Tomek links, pairs of two classes that are each other's nearest rows (Tomek 1976).

    Of a pair the row of the rarest class stays, unless `sampling_strategy=all`.
    """
    from imblearn.under_sampling import TomekLinks

    return TomekLinks(sampling_strategy=sampling_strategy)


def edited_nearest_neighbours(
    seed: int,
    *,
    n_neighbors: Neighbours = 3,
    kind_sel: Literal["all", "mode"] = "all",
    sampling_strategy: Cleaned = "auto",
) -> Any:
    """Without rows whose k nearest rows are not all of their class; `mode`: not most of them (Wilson 1972).

    Rows of the rarest class stay, unless `sampling_strategy=all`.
    """
    from imblearn.under_sampling import EditedNearestNeighbours

    return EditedNearestNeighbours(n_neighbors=n_neighbors, kind_sel=kind_sel, sampling_strategy=sampling_strategy)


@dataclass(frozen=True)
class Resampler:
    """A function that resamples a training split, and what else is known of it.

    Attributes
    ----------
    function : from a seed to an object with `fit_resample`; of the user's own, from features, labels and a seed to rows
    makes : whether it makes rows of rare classes; else it leaves rows out
    within : the option that says how many neighbours of its own class a row needs, if new rows are made of them
    mixed : whether it is handed the places of categorical columns as a second argument, and makes categories of them
    own : whether it is the user's own
    """

    function: Callable[..., Any]
    makes: bool = False
    within: str | None = None
    mixed: bool = False
    own: bool = False

    def check_installed(self, name: str) -> None:
        """Refuse a function, called by its name, whose library is not installed."""
        if not self.own and importlib.util.find_spec(MODULE) is None:
            raise ConfigError(
                f"dataset.sampling={name} needs {PACKAGE}: make train EXTRA=rivals, or pip install {PACKAGE}"
            )

    def check_counts(self, name: str, options: Mapping[str, Any], classes: Sequence[str], counts: Integers) -> None:
        """Refuse what these counts, int64 (classes,), cannot be resampled to.

        Raises
        ------
        ConfigError
            If a class has fewer rows than neighbours are asked for, or a ratio is for other classes than these.
        """
        who, strategy = f"dataset.sampling={name}", options.get("sampling_strategy")
        if isinstance(strategy, float | int) and not self.own:
            _check_ratio(who, strategy, counts)
        if self.within is None or options.get("kind") == "borderline-2":  # whose neighbours are of any class
            return
        needed, rarest = options[self.within] + 1, int(counts.argmin())
        grows = counts < counts.max() if strategy == "auto" else np.arange(len(counts)) == rarest
        few = [place for place in np.argsort(counts, kind="stable") if grows[place] and counts[place] < needed]
        if few:
            place, rows = few[0], int(counts[few[0]])
            others = f" ({listing([classes[each] for each in few[1:]])} too)" if len(few) > 1 else ""
            fewer = f"type dataset.sampling_options={{{self.within}: {rows - 1}}}, or " if rows > 1 else ""
            raise ConfigError(
                f"{who}: class {classes[place]} has {rows} training row{'s' * (rows > 1)}{others}, and a row needs "
                f"{self.within}={needed - 1} neighbours of its class: {fewer}use dataset.sampling=rose, which needs "
                "none"
            )


def _check_ratio(who: str, ratio: float, counts: Integers) -> None:
    if len(counts) != 2:
        raise ConfigError(
            f"{who}: sampling_strategy={ratio:g} is a ratio of two classes, and there are {len(counts)}: type auto or "
            "minority"
        )
    now = counts.min() / counts.max()
    if int(ratio * counts.max()) <= counts.min():
        raise ConfigError(
            f"{who}: sampling_strategy={ratio:g}, and the rarer class has {now:.3g} times the rows of the other "
            "already: type a larger ratio"
        )


RESAMPLERS: Mapping[str, Resampler] = {
    "smote": Resampler(smote, makes=True, within="k_neighbors"),
    "smote_nc": Resampler(smote_nc, makes=True, within="k_neighbors", mixed=True),
    "borderline_smote": Resampler(borderline_smote, makes=True, within="k_neighbors"),
    "adasyn": Resampler(adasyn, makes=True, within="n_neighbors"),
    "rose": Resampler(rose, makes=True),
    "tomek": Resampler(tomek),
    "edited_nearest_neighbours": Resampler(edited_nearest_neighbours),
}


def of_own(function: Callable[..., Rows], _own: Own) -> Resampler:
    """Return the record of a function of the user's own."""
    return Resampler(function, makes=True, own=True)
