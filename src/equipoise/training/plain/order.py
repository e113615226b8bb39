"""The samples in a script, resampled if so, and their order: every one once an epoch, or drawn by class."""

from equipoise.data.resampling import options_of
from equipoise.data.sampling import resampler, shares_of
from equipoise.training.plain.case import Case, Piece
from equipoise.training.plain.definitions import Definitions, Text
from equipoise.training.plain.writing import WIDTH

DRAWN = (
    "uniform = tf.random.stateless_uniform((2, len(y_train)), [SEED, epoch], dtype=tf.float64).numpy()",
    'of_class = np.minimum(np.searchsorted(np.cumsum(share), uniform[0], side="right"), len(counts) - 1)',
    "place = np.minimum((uniform[1] * counts[of_class]).astype(int), counts[of_class] - 1)",
    'order = np.argsort(y_train, kind="stable")[(np.cumsum(counts) - counts)[of_class] + place]',
)


def resampled(case: Case, definitions: Definitions) -> list[str]:
    """Return the statements that make the rows to train on, with the bits of the run; none if they are as they are."""
    dataset = case.config.dataset
    record, option = resampler(dataset.sampling), f"dataset.sampling={dataset.sampling}"
    if record is None:
        return []
    rows, seed, options = (Text("x_train"), Text("y_train")), Text("SEED"), options_of(dataset)
    if record.own:
        made = definitions.result_of(option, "x_train, y_train", record.function, *rows, seed, **options)
    else:
        made = definitions.result_of(option, "resampler", record.function, seed, **options)
        made.append("x_train, y_train = resampler.fit_resample(x_train, y_train)")
    return [*case.said(option, record.function.__doc__, WIDTH), *made, "x_train = np.float32(x_train)"]


def order(case: Case, definitions: Definitions) -> Piece:
    """Return the statements that make `order`, the rows of an epoch."""
    rule = case.config.dataset.sampling
    share = shares_of(rule)
    if share is None:
        rows = "tf.range(len(y_train), dtype=tf.int64)"
        return Piece([f"order = tf.random.experimental.stateless_shuffle({rows}, [SEED, epoch]).numpy()"])
    option, last = f"dataset.sampling={rule}", max(1, case.config.trainer.epochs - 1)
    steady = (share(case.data.counts, 0.0) == share(case.data.counts, 1.0)).all()
    return Piece(
        [
            *case.said(option, share.__doc__, WIDTH - 4),
            *([] if steady else [f"progress = epoch / {last}"]),
            *definitions.result_of(option, "share", share, Text("counts"), 0 if steady else Text("progress")),
            *DRAWN,
        ],
        needs=["counts"],
    )
