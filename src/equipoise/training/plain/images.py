"""The images of an epoch in a script: as they are, or altered at random."""

from equipoise.data.augmentation import APART, AUGMENTATIONS, STEPS, columns, looked_up, then
from equipoise.training.plain.case import Case, Piece
from equipoise.training.plain.definitions import Definitions, Text
from equipoise.training.plain.writing import WIDTH, wrapped

ROWS = "x_train[order]"


def images(case: Case, definitions: Definitions) -> Piece:
    """Return the statements that alter the images of an epoch; the value is what `fit` is handed of features."""
    taken = columns(case.config.dataset.augment)
    if not taken:
        return Piece(value=ROWS)
    lines, looked, altered = [], "", ROWS
    for name, drawn in taken.items():
        way, option = AUGMENTATIONS[name], f"dataset.augment=[{name}]"
        lines += case.said(option, way.function.__doc__, WIDTH - 4)
        own = Text(f"drawn[:, {drawn.start}:{drawn.stop}]")
        if way.hides:
            altered = definitions.call(option, way.function, Text(_looked_up(definitions, altered, looked)), own)
            looked = ""
        else:
            place = definitions.call(option, way.function, own, *case.data.shape[:2])
            looked = definitions.call(option, then, Text("place"), Text(place)) if looked else place
            lines += wrapped(f"place = {looked}")
    count = max(drawn.stop for drawn in taken.values())
    shape = f"(len(order), {count}), [SEED + {APART}, epoch], 0, {STEPS}, tf.int64"
    return Piece(
        [
            f"drawn = tf.cast(tf.random.stateless_uniform({shape}), tf.float32) / {STEPS}",
            *lines,
            *wrapped(f"images = {_looked_up(definitions, altered, looked)}"),
        ],
        "images",
    )


def _looked_up(definitions: Definitions, altered: str, looked: str) -> str:
    return definitions.call("dataset.augment", looked_up, Text(altered), Text("place")) if looked else altered
