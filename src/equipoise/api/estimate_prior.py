"""Class frequencies of rows without labels, from the logits of any library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from equipoise.api.labels import class_names, indices_of
from equipoise.api.logits import checked_logits
from equipoise.api.shown import Shown
from equipoise.config.choice import choice
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats
from equipoise.methods.label_shift import RESAMPLES, Estimate, Source, chosen, estimate, most_rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class Prior(Shown):
    """Class frequencies, estimated from rows without labels.

    Attributes
    ----------
    classes : their names
    found : the numbers, each (classes,)
    whole : how many rows there were
    """

    classes: tuple[str, ...]
    found: Estimate
    whole: int

    @property
    def title(self) -> str:
        """One line on the whole."""
        some = "" if self.found.rows == self.whole else f", chosen at random of {self.whole:,}"
        return f"class frequencies of {self.found.rows:,} rows without labels{some}"

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a class: EM's share, the ends of its 95 % interval, and BBSE's share; NaN where there is none."""
        import pandas as pd

        found = self.found
        columns = {"em": found.em, "low": found.low, "high": found.high, "bbse": found.bbse}
        return pd.DataFrame(columns, index=pd.Index(self.classes, name="class"))

    @property
    def target_prior(self) -> Floats:
        """EM's shares as `evaluate(target_prior=…)` takes them: of six digits, and none of them 0.

        Raises
        ------
        ConfigError
            If there is no estimate by EM.
        """
        if np.isnan(self.found.em).any():
            raise ConfigError(f"there is no estimate by EM: {self.found.notes[0]}")
        return self.found.prior

    @property
    def p(self) -> float:
        """About how often such rows would look as odd by chance: label shift is in doubt where it is tiny."""
        return self.found.p

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, a sentence each."""
        return self.found.notes


def estimate_prior(
    logits: Any,
    validation: tuple[Any, Any],
    classes: Sequence[Any] | None = None,
    *,
    calibration: str = "bias_corrected",
    learned_prior: npt.ArrayLike | Literal["unknown"] = "unknown",
    resamples: int = RESAMPLES,
) -> Prior:
    """Return the class frequencies of rows without labels, by EM and by BBSE.

    It assumes label shift: rows of a class look as the validation rows of that class do, and only the frequencies are
    others. EM goes by calibrated probabilities (Saerens, Latinne & Decaestecker 2002; Alexandari, Kundaje & Shrikumar
    2020), BBSE by predicted classes (Lipton, Wang & Smola 2018).

    Parameters
    ----------
    logits : of these rows, (n, classes), or (n,) of the second of two classes; of probabilities:
        `eq.logits(probabilities)`
    validation : labels and logits of other samples, which tell how the model answers each class
    classes : names in the order of the logits; by default 0, 1, 2 …; labels that are text need them
    calibration : how probabilities are calibrated on validation, an option of `calibration=`
    learned_prior : class frequencies that the model learned under, one number a class; not needed where calibration
        finds a bias for each class
    resamples : of the bootstrap for intervals, 2 or more; 0: none

    Raises
    ------
    ConfigError
        If labels, logits and classes do not fit each other, a class has no validation samples, or an option is wrong.

    Examples
    --------
    Three of four validation samples of each class are told right, and 20 of 30 new samples look like a dog.

    >>> import equipoise as eq
    >>> seen = (["cat"] * 4 + ["dog"] * 4, [[2.0, 0.0]] * 3 + [[0.0, 2.0]] * 4 + [[2.0, 0.0]])
    >>> new = [[2.0, 0.0]] * 10 + [[0.0, 2.0]] * 20
    >>> r = eq.estimate_prior(new, seen, ["cat", "dog"], resamples=0)
    >>> r.frame[["em", "bbse"]].round(3).to_dict()
    {'em': {'cat': 0.167, 'dog': 0.833}, 'bbse': {'cat': 0.167, 'dog': 0.833}}
    >>> r.target_prior.tolist()
    [0.166667, 0.833333]
    """
    _check_resamples(resamples)
    names = _names(*validation, classes)
    new = checked_logits(logits, len(names), "logits")
    rows = chosen(len(new), most_rows(len(names)))
    source = _source(*validation, names, choice("calibration", calibration, {}).name, learned_prior)
    return Prior(names, estimate(source, new[rows], names, resamples=int(resamples)), len(new))


def _check_resamples(typed: Any) -> None:
    is_whole = isinstance(typed, int | np.integer) and not isinstance(typed, bool)
    if not is_whole or typed < 0 or typed == 1:
        raise ConfigError(f"resamples={typed!r}: give a whole number from 2 on, or 0 for no intervals")


def _source(labels: Any, logits: Any, names: tuple[str, ...], calibration: str, learned: Any) -> Source:
    """Return what the validation samples say."""
    seen = checked_logits(logits, len(names), "the validation logits")
    indices = indices_of(labels, names, "the validation labels")
    if len(indices) != len(seen):
        raise ConfigError(f"the validation labels are {len(indices)} samples, and the validation logits {len(seen)}")
    return Source(indices, seen, _learned(learned, len(names)), calibration)


def _names(labels: Any, logits: Any, classes: Sequence[Any] | None) -> tuple[str, ...]:
    if classes is not None:
        return class_names(labels, classes, "the validation labels")
    if np.asarray(labels).dtype.kind not in "iufb":
        raise ConfigError(
            "classes is missing: the validation labels are text, which does not tell the order of the logits: give the "
            "names in it, such as classes=['ok', 'fraud']"
        )
    return tuple(map(str, range(max(2, np.shape(logits)[1] if np.ndim(logits) == 2 else 1))))


def _learned(typed: Any, classes: int) -> Floats | None:
    """Return the prior that the model learned under, float64 (classes,); None: not known."""
    if isinstance(typed, str) and typed == "unknown":
        return None
    try:
        prior: Floats = np.asarray(typed, np.float64)
    except (TypeError, ValueError):
        prior = np.empty(0)
    if prior.shape != (classes,) or not (np.isfinite(prior) & (prior > 0)).all():
        raise ConfigError(f"learned_prior={typed}: give a number above 0 for each of {classes} classes, or unknown")
    normalised: Floats = prior / prior.sum()
    return normalised
