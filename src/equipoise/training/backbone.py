"""The backbone of a model: what a phase of training freezes."""

import keras

from equipoise.methods.backbones import BACKBONE


class Backbone:
    """The layers and weights of the model's layer of that name, and which of them are trained when it is not frozen.

    A model without such a layer has none, and nothing to freeze.
    """

    def __init__(self, model: keras.Model) -> None:
        layers = [part for layer in model.layers if layer.name == BACKBONE for part in layer._flatten_layers()]
        self._layers = [(layer, layer.trainable) for layer in layers]
        self._weights = [(weight, weight.trainable) for layer in layers for weight in layer.variables]

    def freeze(self, frozen: bool) -> None:
        """Freeze it, with batch norm in inference mode, or have it trained again."""
        for layer, is_trained in self._layers:  # each before those within it, which it sets as well
            layer.trainable = is_trained and not frozen
        for weight, is_trained in self._weights:
            weight.trainable = is_trained and not frozen
