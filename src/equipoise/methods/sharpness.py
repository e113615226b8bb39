"""Steps that go by the gradient at another place than the weights: from the weights and their gradient to that place.

TensorFlow is imported when a place is computed, not before.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from equipoise.core.schema import KeyOf, Positive, Section, arguments

if TYPE_CHECKING:
    import tensorflow as tf

# Takes the trained weights, their gradients (float32, of the weights' shapes), and its own options.
Place: TypeAlias = "Callable[..., list[tf.Tensor]]"


def sam(
    weights: Sequence["tf.Variable"], gradients: Sequence["tf.Tensor"], *, sharpness_rho: Positive
) -> list["tf.Tensor"]:
    """Sharpness-aware minimising: w + rho g / ||g||, the most loss within rho of w (Foret et al. 2021, Algorithm 1)."""
    import tensorflow as tf

    share = tf.math.divide_no_nan(sharpness_rho, tf.linalg.global_norm(gradients))
    return [weight + share * gradient for weight, gradient in zip(weights, gradients, strict=True)]


SHARPNESS: Mapping[str, Place] = {"sam": sam}


class Sharpness(Section):
    """The keys of the place that a step's gradient is taken at."""

    sharpness: Annotated[str, KeyOf(SHARPNESS, "none")]
    sharpness_rho: Positive


def options_of(options: Sharpness) -> dict[str, Any]:
    """Return the options that the place takes."""
    return arguments(options, SHARPNESS[options.sharpness])
