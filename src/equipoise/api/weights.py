"""Class weights of labels that a script has at hand."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from equipoise import methods
from equipoise.api.labels import counted, indices_of
from equipoise.api.shown import Shown
from equipoise.config.choice import choice
from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import Floats, Integers
from equipoise.core.typed import number_in
from equipoise.methods.weighting import ClassWeights

if TYPE_CHECKING:
    import pandas as pd

# Keys of a weighting that say how weights change from epoch to epoch, which nothing here does.
OF_A_SCHEDULE = ("schedule", "start", "shape")


@dataclass(frozen=True, repr=False, eq=False)
class Weights(Shown, ClassWeights):
    """The weight of each class, beside what it was computed from.

    Attributes
    ----------
    classes : names, in class order
    counts : int64 (classes,), training samples of each class
    weights : float64 (classes,)
    share : float64 (classes,), each class's part of all the weight in the data, n_c w_c / sum
    sample_mean : mean weight of a sample, by which the weights scale the loss
    effective_sample_size : so many samples of equal weight count as much (Kish 1965)
    weighting : the option's name
    """

    weighting: str = "manual"

    def as_dict(self) -> dict[int, float]:
        """Return `{class index: weight}` for Keras's `fit(class_weight=…)`.

        Raises
        ------
        ConfigError
            If the labels are numbers other than 0, 1, 2 …: Keras would look up the wrong weights, or none, in silence.
        """
        if all(number_in(name) is not None for name in self.classes):
            odd = [name for index, name in enumerate(self.classes) if number_in(name) != index]
            if odd:
                raise ConfigError(
                    f"the labels are {listing(self.classes)}, and Keras looks weights up by the class index, "
                    f"0 to {len(self.classes) - 1}: use fit(sample_weight=w.sample_weight(y)), "
                    "or train on w.indices(y) with class_weight=dict(enumerate(w.weights))"
                )
        return {index: float(weight) for index, weight in enumerate(self.weights)}

    def indices(self, y: Any) -> Integers:
        """Return the class index of each label, int64 (n,): the labels that a model with one logit a class learns."""
        return indices_of(y, self.classes, "y")

    def sample_weight(self, y: Any) -> Floats:
        """Return the weight of each sample, float64 (n,), for `fit(sample_weight=…)` of Keras or others."""
        weights: Floats = self.weights[self.indices(y)]
        return weights

    @property
    def title(self) -> str:
        """One line on the whole."""
        return (
            f"{self.weighting} weights of {len(self.classes)} classes and {self.counts.sum():,} samples; "
            f"mean weight of a sample {self.sample_mean:.4g}, effective sample size {self.effective_sample_size:,.0f}"
        )

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a class: n, weight and share of all the weight."""
        import pandas as pd

        columns = {"n": self.counts, "weight": self.weights, "share": self.share}
        return pd.DataFrame(columns, index=pd.Index(self.classes, name="class"))


def class_weights(
    y: Any, weighting: str = "balanced", *, classes: Sequence[Any] | None = None, **options: Any
) -> Weights:
    """Return the weight of each class, from training labels or counts.

    Parameters
    ----------
    y : one label a sample, text or numbers, or one-hot rows (n, classes); or the counts, as a mapping from class to
        number of samples such as `collections.Counter(y)`
    weighting : an option of `weighting=` (docs/methods.md): none, balanced, inverse, max_ratio, power,
        effective_number, median_frequency, log_smoothed, log_damped or manual
    classes : names in the order of the logits; by default the classes that occur, by value or alphabet. With names
        that are no numbers, whole numbers in `y` are class indices
    options : of the weighting, such as `beta=0.999`, and `normalize`; by default those of its YAML

    Raises
    ------
    ConfigError
        If there is no such weighting or option, a value is wrong, or a class has no sample.

    Examples
    --------
    >>> import equipoise as eq
    >>> w = eq.class_weights(["cat"] * 90 + ["dog"] * 10, "balanced")
    >>> w
    balanced weights of 2 classes and 100 samples; mean weight of a sample 1, effective sample size 36
            n  weight  share
    class
    cat    90  0.5556    0.5
    dog    10       5    0.5
    >>> w.as_dict()
    {0: 0.5555555555555556, 1: 5.0}
    >>> w.sample_weight(["dog", "cat"])
    array([5.        , 0.55555556])
    >>> eq.class_weights({"cat": 90, "dog": 10}, "effective_number", beta=0.999, normalize="sample_mean").weights
    array([0.5665781, 4.9007971])
    """
    names, counts = counted(y, classes)
    section = choice("weighting", weighting, options, without=OF_A_SCHEDULE)
    weighed = methods.weighting.class_weights(section, counts, names)
    return Weights(**{field.name: getattr(weighed, field.name) for field in fields(weighed)}, weighting=weighting)
