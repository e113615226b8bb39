"""Many steps of dense layers as one program of XLA: to start a program for each step takes longer than the step."""

from collections.abc import Callable

import keras
import tensorflow as tf


def program_of(model: keras.Model) -> Callable[[tuple[tf.Tensor, ...], tf.Tensor], None]:
    """Return a function of (batches, count), which takes so many steps in one program.

    It is handed `model.steps_per_execution` batches of one size at once, as arrays of shape (batches, batch size, ...).
    With another number of them, or with what makes the batches inside the program, XLA would put the program together
    in another way, and leave other last bits.
    """

    def steps(
        batches: tuple[tf.Tensor, ...], count: tf.Tensor
    ) -> None:  # pragma: no cover - runs as AutoGraph has rewritten it
        step = 0
        while step < count:  # for `tf.range` XLA would compile anew for each number of steps
            model.train_step(tuple(values[step] for values in batches))
            step += 1

    program: Callable[[tuple[tf.Tensor, ...], tf.Tensor], None] = tf.function(steps, jit_compile=True)
    return program


class TrainFunction:
    """Stands in for the function that Keras's `fit` calls with its iterator, and leaves the same bits.

    All full batches of a call are taken in one program.

    Parameters
    ----------
    model : compiled
    samples, batch_size : of an epoch, whose last batch may be smaller
    taken : int64 variable, the steps of the epoch that are behind it
    """

    def __init__(self, model: keras.Model, samples: int, batch_size: int, taken: keras.Variable) -> None:
        self._model, self._batch_size, self._taken = model, batch_size, taken
        self._full, self._steps = samples // batch_size, -(-samples // batch_size)
        self._program = program_of(model)
        self._step = tf.function(model.train_step, autograph=False, jit_compile=True)
        self._take = tf.function(self._next_steps)

    def __call__(self, iterator: tf.data.Iterator) -> dict[str, tf.Tensor]:
        self._take(iterator)
        metrics: dict[str, tf.Tensor] = self._model.get_metrics_result()
        return metrics

    def _next_steps(self, iterator: tf.data.Iterator) -> None:  # pragma: no cover - runs as AutoGraph has rewritten it
        taken, most = tf.cast(self._taken, tf.int32), self._model.steps_per_execution
        full = tf.minimum(most, self._full - taken)
        if full > 0:
            self._program(self._stacked(iterator, full, most), full)
        if full < tf.minimum(most, self._steps - taken):
            self._step(iterator.get_next())

    def _stacked(
        self, iterator: tf.data.Iterator, count: tf.Tensor, most: int
    ) -> tuple[tf.Tensor, ...]:  # pragma: no cover - likewise
        """`count` batches, and zeros up to `most`."""
        shapes = [(self._batch_size, *spec.shape[1:]) for spec in iterator.element_spec]
        held = [
            tf.TensorArray(spec.dtype, most, element_shape=shape)
            for spec, shape in zip(iterator.element_spec, shapes, strict=True)
        ]
        for step in tf.range(count):
            batch = iterator.get_next()
            held = [
                array.write(step, tf.ensure_shape(values, shape))
                for array, values, shape in zip(held, batch, shapes, strict=True)
            ]
        return tuple(array.stack() for array in held)
