"""The second stage of a script, which makes the last layer of the trained model anew."""

from collections.abc import Callable, Mapping

from equipoise.core.errors import ConfigError
from equipoise.core.schema import NONE
from equipoise.training.plain.case import Case, Piece
from equipoise.training.plain.loss import CROSS_ENTROPIES
from equipoise.training.plain.scores import OF_CLASSES
from equipoise.training.plain.writing import wrapped

FEATURES = (
    "backbone = keras.Model(model.input, model.layers[-1].input)",
    "backbone.compile(jit_compile=False)",
    "features = backbone.predict({}, batch_size=1024, verbose=0)",
)
# Row weights over the mean of their class.
EVEN = 'even = np.float32(data["w_train"] / (np.bincount(y_train, data["w_train"]) / counts)[y_train])'


def second_stage(case: Case) -> Piece:
    """Return the statements of the stage.

    Raises
    ------
    ConfigError
        If it is not one of those that are written here.
    """
    stage = case.config.trainer.second_stage
    if stage == NONE:
        return Piece()
    if stage not in STAGES:
        raise ConfigError(f"trainer.second_stage={stage}: it is not written as plain Keras")
    return STAGES[stage](case)


def _crt(case: Case) -> Piece:
    jit, labels = case.config.trainer.jit is True, case.label_array
    layers = f'[keras.Input(features.shape[1:]), keras.layers.Dense({case.logits}, dtype="float32")]'
    lines = [
        "# trainer.second_stage=crt: the last layer anew, on class-balanced samples (Kang et al. 2020)",
        *(line.format("x_train") for line in FEATURES),
        "size = EPOCHS * -(-len(y_train) // BATCH_SIZE) * BATCH_SIZE",
        "generator = np.random.default_rng(SEED)",
        "of_class = generator.integers(len(counts), size=size)",
        "place = (np.cumsum(counts) - counts)[of_class] + generator.integers(counts[of_class])",
        'rows = np.argsort(y_train, kind="stable")[place]',
        "keras.utils.set_random_seed(SEED)",
        f"classifier = keras.Sequential({layers})",
        *wrapped(
            f"classifier.compile({case.optimizer}, {CROSS_ENTROPIES[case.config.dataset.labels]}, jit_compile={jit})"
        ),
        *([EVEN] if case.has_rows else []),
        *wrapped(
            f"classifier.fit(features[rows], {labels}[rows], batch_size=BATCH_SIZE, shuffle=False, verbose=2"
            f"{', sample_weight=even[rows]' if case.has_rows else ''})"
        ),
        "model.layers[-1].set_weights(classifier.get_weights())",
        "",
    ]
    return Piece(lines, needs=["counts"])


def _tau_norm(case: Case) -> Piece:
    score = OF_CLASSES["val/balanced_accuracy"].replace("y", "y_validation")
    lines = [
        "# trainer.second_stage=tau_norm: w_c / |w_c|^tau, tau the best on validation (Kang et al. 2020)",
        *(line.format("x_validation") for line in FEATURES),
        "kernel, bias = model.layers[-1].get_weights()",
        "taus, scores = np.linspace(0, 1, 11), []",
        "for tau in taus:",
        "    predicted = np.argmax(features @ (kernel / np.linalg.norm(kernel, axis=0) ** tau), axis=1)",
        f"    scores.append({score})",
        "tau = float(taus[np.argmax(scores)])",
        "model.layers[-1].set_weights([kernel / np.linalg.norm(kernel, axis=0) ** tau, np.zeros_like(bias)])",
        "",
    ]
    return Piece(lines, needs=["validation"])


STAGES: Mapping[str, Callable[[Case], Piece]] = {"crt": _crt, "tau_norm": _tau_norm}
