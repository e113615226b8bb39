"""How a script steps: its optimiser, its learning rate in each epoch, and the average that it judges weights by."""

from equipoise.methods.learning_rates import LEARNING_RATES, options_of
from equipoise.training.optimizer import NOT_DECAYED, described
from equipoise.training.plain.case import Case, Piece
from equipoise.training.plain.definitions import Definitions, Text
from equipoise.training.plain.specialise import literal
from equipoise.training.plain.writing import WIDTH, expression, wrapped
from equipoise.training.precision import initial_scale

SCORED = "reduce_on_plateau"  # the schedule that looks at scores


def optimizer(case: Case) -> Piece:
    """Return the statements that make the optimiser; the value is what `compile` is handed."""
    trainer, more = case.config.trainer, described(case.config.trainer)
    more.pop("learning_rate")
    if trainer.clip_norm is not None:
        more["global_clipnorm"] = trainer.clip_norm  # also of replicas, who clip by hand
    lines, made = [], case.optimizer_with(**more)
    if trainer.weight_decay is not None:
        without = f"len(v.shape) < 2 or v.name in {expression(literal(NOT_DECAYED))}"
        lines = [
            *wrapped(f"optimizer = {made}"),
            *wrapped(f"kept = [v for v in model.trainable_variables if {without}]"),
            "optimizer.exclude_from_weight_decay(kept)",
        ]
        made = "optimizer"
    if trainer.precision == "mixed_float16":
        made = f"keras.optimizers.LossScaleOptimizer({made}, initial_scale={initial_scale(case.largest)!r})"
    return Piece(lines, made)


def learning_rate(case: Case, definitions: Definitions) -> tuple[list[str], list[str]]:
    """Return the statements before the loop, and in it before an epoch."""
    trainer = case.config.trainer
    if trainer.schedule == "constant":
        return [], []
    function, scored = LEARNING_RATES[trainer.schedule], trainer.schedule == SCORED
    option, scores = f"trainer.schedule={trainer.schedule}", Text("scores" if scored else "()")
    called = definitions.call(option, function, Text("epoch"), trainer.epochs, scores, **options_of(trainer))
    lines = wrapped(f"model.optimizer.learning_rate = {trainer.learning_rate!r} * {called}")
    return (["scores = []"] if scored else []), [*case.said(option, function.__doc__, WIDTH - 4), *lines]


def average(case: Case) -> tuple[list[str], Piece]:
    """Return the statements before the loop and, in it, before an epoch; the value is what `fit` is handed."""
    if case.config.trainer.ema is None:
        return [], Piece()
    keep = "keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: trained.append(model.get_weights()))"
    said = [] if case.brief > 1 else ["# When `fit` ends, Keras puts the average in place of the trained weights."]
    before = [*said, *wrapped(f"trained, keep = [], {keep}")]
    return before, Piece(["if trained:", "    model.set_weights(trained.pop())"], "callbacks=[keep]")
