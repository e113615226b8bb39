"""The model of a script: the layers that its function makes, one after the other."""

import re

from equipoise.core.schema import arguments
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS
from equipoise.training.plain.case import Case, Piece
from equipoise.training.plain.definitions import Definitions, Text
from equipoise.training.plain.sharpness import sharpness

# Layers that draw random numbers in every step.
DRAWING = re.compile("Dropout|Noise|Random|SeedGenerator")


def model(case: Case, definitions: Definitions) -> Piece:
    """Return the statements that make the model, from the seed on; the value is whether its layers draw."""
    config = case.config
    option, record = f"model={config.model.name}", MODELS[config.model.name]
    build = record.build
    write = definitions.call_of if case.brief > 2 else definitions.result_of
    lines = [*case.said(option, build.__doc__), "keras.utils.set_random_seed(SEED)"]
    ids = (case.data.ids,) if record.embeds else ()
    lines += write(option, "model", build, case.data.shape, case.logits, *ids, **arguments(config.model, build))
    head = LOSSES[config.loss.name].head
    if head is not None:
        options = arguments(config.loss, head, case.data.classes)
        lines += write(f"loss={config.loss.name}", "model", head, Text("model"), **options)
    lines += sharpness(case, definitions)
    draws = any(map(DRAWING.search, [*lines, *definitions.lines]))
    return Piece(lines, value="seeds" if draws else "")


def drawing(model: Piece) -> tuple[list[str], list[str]]:
    """Return the statements before the loop, and in it, that set what layers draw by the seed and the epoch."""
    if not model.value:
        return [], []
    return (
        ['seeds = [state for state in model.variables if state.name == "seed_generator_state"]'],
        [
            "for place, seed in enumerate(seeds):  # what dropout draws",
            "    (number,) = np.random.SeedSequence([SEED, epoch, place]).generate_state(1)",
            "    seed.assign([int(number) & 0x7FFFFFFF, 0])",
        ],
    )
