"""A model whose steps take two passes: the second finds the gradient at a place near the weights (Foret et al. 2021).

The variables never leave the weights: the second pass computes with tensors in their stead, and assigns to nothing. So
the statistics of batch norm and what counts steps are brought forward once, and dropout leaves out the same units in
both passes, as in the program of the paper's authors.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from equipoise.core.schema import NONE
from equipoise.methods.sharpness import SHARPNESS, Sharpness, options_of

Tensors: TypeAlias = Sequence[tf.Tensor]


def sharpness_aware(model: keras.Model, options: Sharpness) -> keras.Model:
    """Return the model, of the same layers, with the steps that are asked for."""
    if options.sharpness == NONE:
        return model
    return SharpnessAware(model, functools.partial(SHARPNESS[options.sharpness], **options_of(options)))


class SharpnessAware(keras.Model):
    """A model that steps by the gradient at another place than its weights.

    Parameters
    ----------
    place : of the trained weights and their gradients
    """

    def __init__(self, model: keras.Model, place: Callable[[Sequence[keras.Variable], Tensors], Tensors]) -> None:
        super().__init__(model.inputs[0], model.outputs[0], name=model.name)
        self._place = place

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Take a step; the loss that it tells is that of the first pass, as of a step that has no other."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)

        def scaled_loss() -> tf.Tensor:
            loss = self.compute_loss(x, y, self(x, training=True), sample_weight)
            self.metrics[0].update_state(loss, sample_weight=tf.shape(x)[0])
            return self.optimizer.scale_loss(loss)

        self.optimizer.apply_gradients(zip(self.gradients(scaled_loss), self.trainable_variables, strict=True))
        metrics: dict[str, tf.Tensor] = self.get_metrics_result()
        return metrics

    def gradients(self, loss_of: Callable[[], tf.Tensor], whole: Callable[[Tensors], Tensors] = list) -> Tensors:
        """Return the gradient of a step, one for each trained weight.

        Parameters
        ----------
        loss_of : the loss under the weights in force; in the second pass it changes none of Keras's variables
        whole : of the gradients of this device's part of a batch those of the whole batch
        """
        weights, states = self.trainable_variables, self.non_trainable_variables
        at_first = [tf.convert_to_tensor(state) for state in states]
        with tf.GradientTape() as tape:
            loss = loss_of()
        found = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        place = self._place(weights, whole([tf.convert_to_tensor(gradient) for gradient in found]))
        held = [*zip(weights, place, strict=True), *zip(states, at_first, strict=True)]
        with tf.GradientTape() as tape, keras.StatelessScope(held):
            tape.watch(place)
            loss = loss_of()
        gradients: Tensors = tape.gradient(loss, place)
        return gradients
