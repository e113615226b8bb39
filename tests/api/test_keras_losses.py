"""The library's Keras losses: the values and gradients of a run to the bit, saved and loaded, with defaults of YAML."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import equipoise as eq
from equipoise.config.choice import defaults
from equipoise.core.schema import keywords
from equipoise.data.prepare import prepare
from equipoise.methods.losses import LOSSES
from helpers import composed

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

COUNTS = [60, 25, 8]
SMALL = ["dataset=synthetic", f"dataset.class_counts={COUNTS}".replace(" ", ""), "dataset.features=6", "model=mlp"]
BINARY = ["dataset.class_counts=[60,8]", "dataset.labels=binary"]
WEIGHTS = [1.0, 2.0, 5.0]
# Of each class: its option, what is typed for a run, and the same here; of options that are not their defaults.
CASES: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "CrossEntropy": ("custom", [], {}),
    "Focal": ("focal", ["loss.gamma=1.5", "loss.alpha={0:1,1:2,2:5}"], {"gamma": 1.5, "alpha": WEIGHTS}),
    "BalancedSoftmax": ("balanced_softmax", [], {"counts": COUNTS}),
    "LogitAdjusted": ("logit_adjusted", ["loss.tau=0.7"], {"counts": COUNTS, "tau": 0.7}),
    "LDAM": ("ldam", ["loss.scale=3", "loss.max_margin=0.4"], {"counts": COUNTS, "scale": 3, "max_margin": 0.4}),
    "VS": ("vs", ["loss.gamma=0.2", "loss.tau=0.8"], {"counts": COUNTS, "gamma": 0.2, "tau": 0.8}),
    "Poly": ("poly", ["loss.epsilon=2"], {"epsilon": 2}),
    "LabelSmoothing": ("label_smoothing", ["loss.head=0.3", "loss.tail=0"], {"counts": COUNTS, "head": 0.3, "tail": 0}),
    "CostMatrix": (
        "cost_matrix",
        ["cost={0:{1:5}}", "loss.strength=2"],
        {"costs": [[0, 5, 1], [1, 0, 1], [1, 1, 0]], "strength": 2},
    ),
    "PredictedClass": ("predicted_class", ["loss.weights={0:1,1:2,2:5}"], {"weights": WEIGHTS}),
    "ClassBalancedFocal": (
        "class_balanced_focal",
        ["loss.gamma=1", "loss.beta=0.99"],
        {"counts": COUNTS, "gamma": 1, "beta": 0.99},
    ),
    "InfluenceBalanced": (
        "influence_balanced",
        ["loss.alpha=2", "loss.epsilon=0.5"],
        {"counts": COUNTS, "alpha": 2, "epsilon": 0.5},
    ),
    "LADE": (
        "lade",
        ["loss.strength=0.5", "loss.penalty=0.1"],
        {"counts": COUNTS, "strength": 0.5, "penalty": 0.1},
    ),
    "Recall": ("recall", [], {}),
    "SoftF1": ("soft_f1", [], {}),
    "AUCMargin": ("auc_margin", ["loss.margin=0.4"], {"margin": 0.4}),
    "SigmoidF1": ("sigmoid_f1", [*BINARY, "loss.slope=3", "loss.shift=0.1"], {"slope": 3, "shift": 0.1}),
    "DistributionBalanced": (
        "distribution_balanced",
        [*BINARY, "loss.mu=0.3", "loss.neg_scale=5"],
        {"counts": [60, 8], "mu": 0.3, "neg_scale": 5},
    ),
    "Sigmoid": (
        "sigmoid",
        [
            *BINARY,
            "loss.pos_weight=auto",
            "loss.gamma_neg=4",
            "loss.clip=0.05",
        ],
        {"pos_weight": "auto", "counts": [60, 8], "gamma_neg": 4, "clip": 0.05},
    ),
}
RECORDS = {name: LOSSES[option] for name, (option, *_) in CASES.items()}
WEIGHTED = [name for name, record in RECORDS.items() if not (record.yes_or_no or record.of_batches)]


def made(case: str, **more: Any) -> Any:
    return getattr(eq.losses, case)(**CASES[case][2], **more)


def configured(name: str, cache: Path) -> Any:
    """The loss as training calls it, with its tables in variables."""
    from equipoise.training.loss import loss_function

    option, typed, _ = CASES[name]
    config = composed(*SMALL, f"loss={option}", *typed)
    loss = loss_function(config, prepare(config.dataset, cache))
    return loss.reading(loss.held())


def batch(name: str, form: str) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    if RECORDS[name].yes_or_no:
        return generator.integers(2, size=(40, 1)).astype(np.float32), generator.normal(0, 4, (40, 1)).astype(
            np.float32
        )
    labels = generator.integers(3, size=40)
    return (np.eye(3, dtype=np.float32)[labels] if form == "rows" else labels), generator.normal(0, 4, (40, 3)).astype(
        np.float32
    )


def value_and_gradient(loss: Any, labels: Any, logits: Any) -> list[bytes]:
    import tensorflow as tf

    @tf.function
    def run(labels: Any, logits: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            values = loss(labels, logits)
        return values, tape.gradient(values, logits)

    return [found.numpy().tobytes() for found in run(tf.constant(labels), tf.constant(logits))]


def test_every_class_is_tested() -> None:
    """A loss that somebody adds needs none: `Loss` takes it by its name."""
    classes = {
        name for name, found in vars(eq.losses).items() if inspect.isclass(found) and issubclass(found, eq.losses.Loss)
    }
    assert classes - {"Loss"} == {*CASES}


@pytest.mark.parametrize("name", CASES)
def test_options_and_their_defaults_are_those_of_the_yaml(name: str) -> None:
    option = CASES[name][0]
    record, values = LOSSES[option], defaults("loss", option)
    options = {key for part in (record.function, record.tables) if part for key in keywords(part)}
    assert options == {*values} - {"name", "function", "implementation", "start"}, "who trains by hand starts by hand"
    parameters = {**inspect.signature(getattr(eq.losses, name)).parameters}
    given = {key: each.default for key, each in parameters.items() if each.default is not each.empty}
    asymmetric = {"gamma_pos": 0.0, "gamma_neg": 0.0, "clip": 0.0} if name == "Sigmoid" else {}
    if name == "DistributionBalanced":
        given |= {key: made(name).options.model_dump()[key] for key in ("gamma", "alpha", "beta", "init_bias")}
        given |= {key: eq.losses.DistributionBalanced([6, 8]).options.model_dump()[key] for key in ("mu", "neg_scale")}
    needed = {"weights"} if name == "PredictedClass" else set()
    assert {**given, **asymmetric}.items() >= {key: values[key] for key in options - needed}.items()
    if asymmetric:
        assert made(name).options.gamma_pos == 0
        assert eq.losses.Sigmoid().options.clip == eq.losses.Sigmoid().options.gamma_neg == 0


@pytest.mark.parametrize("form", ["indices", "rows"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_a_run_to_the_bit(name: str, form: str, cache: Path) -> None:
    import tensorflow as tf

    from equipoise.methods.implementations import PerSampleLoss

    labels, logits = batch(name, form)
    function = configured(name, cache)
    assert value_and_gradient(made(name), labels, logits) == value_and_gradient(
        PerSampleLoss(function, "it"), labels, logits
    )
    each = made(name, reduction=None)(labels, logits)
    assert each.numpy().tobytes() == function(tf.constant(labels), tf.constant(logits)).numpy().tobytes()


@pytest.mark.parametrize("form", ["indices", "rows"])
@pytest.mark.parametrize("name", WEIGHTED)
def test_class_weights_are_put_in_as_the_custom_loss_does(name: str, form: str, cache: Path) -> None:
    import tensorflow as tf

    from equipoise.methods.implementations import ClassWeightedLoss

    labels, logits = batch(name, form)
    table = tf.Variable(WEIGHTS, dtype=tf.float32)
    theirs = ClassWeightedLoss(configured(name, cache), "it", table)
    mine = made(name, class_weights=WEIGHTS)
    assert mine(labels, logits).numpy() == theirs(labels, logits).numpy(), "reduced by Keras"
    assert value_and_gradient(mine, labels, logits) == value_and_gradient(theirs, labels, logits)


@pytest.mark.parametrize("name", CASES)
def test_a_saved_model_is_loaded_with_its_loss(name: str, tmp_path: Path) -> None:
    import keras

    more = {"class_weights": np.array(WEIGHTS)} if name in WEIGHTED else {}
    labels, logits = batch(name, "indices")
    model = keras.Sequential([keras.layers.Input(logits.shape[1:]), keras.layers.Dense(logits.shape[1])])
    model.compile("sgd", made(name, **more, name="mine", reduction="sum"))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=True)
    assert type(loaded.loss) is type(model.loss) is getattr(eq.losses, name)
    assert loaded.loss.get_config() == model.loss.get_config()
    assert (loaded.loss.name, loaded.loss.reduction) == ("mine", "sum")
    assert value_and_gradient(loaded.loss, labels, logits) == value_and_gradient(model.loss, labels, logits)
    assert loaded.evaluate(logits, labels, verbose=0) == model.evaluate(logits, labels, verbose=0)


@pytest.mark.parametrize("name", CASES)
def test_any_loss_by_its_name(name: str) -> None:
    import keras

    option, _, given = CASES[name]
    labels, logits = batch(name, "indices")
    by_name = eq.losses.Loss(option, **given)
    assert by_name(labels, logits).numpy() == made(name)(labels, logits).numpy()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(by_name))
    assert again.get_config() == by_name.get_config()
    assert again.get_config()["loss"] == option


def test_several_labels_a_sample() -> None:
    labels, logits = np.array([[1, 0], [1, 1], [0, 0]]), np.zeros((3, 2), np.float32)
    log2 = np.log(2)
    by_hand = [(3 * log2 + log2) / 2, (3 * log2 + log2) / 2, log2]
    auto = eq.losses.Sigmoid(pos_weight="auto", counts=[25, 50], samples=100, reduction=None)
    assert auto(labels, logits).numpy().tolist() == pytest.approx(by_hand), "3 and 1: negatives over positives"
    typed = eq.losses.Sigmoid(pos_weight=[3, 1], reduction=None)
    assert typed(labels, logits).numpy().tolist() == auto(labels, logits).numpy().tolist()
    assert float(eq.losses.Sigmoid(pos_weight=2)([[1.0]], [[0.0]])) == pytest.approx(2 * log2)


def test_a_plain_keras_loop() -> None:
    """Losses and weights in a loop of one's own: rarer classes are learned at once."""
    import keras
    import tensorflow as tf

    generator = np.random.default_rng(0)
    y = np.repeat(["many", "few"], [190, 10])
    w = eq.class_weights(y, "balanced")
    labels = w.indices(y)
    x = (generator.normal(size=(200, 2)) + 2 * labels[:, np.newaxis]).astype(np.float32)
    loss, recalls = eq.losses.CrossEntropy(class_weights=w.weights), []
    for chosen in (eq.losses.CrossEntropy(), loss):
        keras.utils.set_random_seed(0)
        model, optimizer = (
            keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)]),
            keras.optimizers.SGD(0.5),
        )
        for _ in range(50):
            with tf.GradientTape() as tape:
                value = chosen(labels, model(x, training=True))
            optimizer.apply_gradients(
                zip(tape.gradient(value, model.trainable_weights), model.trainable_weights, strict=True)
            )
        predicted = model(x).numpy().argmax(axis=1)
        few = list(w.classes).index("few")
        recalls.append((predicted == labels)[labels == few].mean())
    assert recalls[1] > recalls[0] + 0.2, recalls


def test_ldam_makes_the_last_layer_anew() -> None:
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    found = eq.losses.LDAM([9, 3, 1], scale=7.0).with_cosines(model)(np.eye(4, dtype=np.float32)).numpy()
    assert (np.abs(found) <= 7 + 1e-5).all()
    with pytest.raises(eq.ConfigError, match="must be Dense"):
        eq.losses.LDAM([9, 3, 1]).with_cosines(
            keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3), keras.layers.ReLU()])
        )


@pytest.mark.parametrize(
    "loss",
    [lambda: eq.losses.BalancedSoftmax([3, 1]), lambda: eq.losses.Poly(class_weights=[1, 2])],
    ids=["counts", "weights"],
)
def test_a_loss_for_other_classes_is_refused(loss: Any) -> None:
    made = loss()
    assert made([0, 1], np.zeros((2, 2))).shape == made([[0], [1]], np.zeros((2, 1))).shape == ()
    with pytest.raises(eq.ConfigError, match="was made for 2 classes, and the model ends in 3 logits"):
        made([0, 1], np.zeros((2, 3)))


def test_counts_of_several_labels_go_with_how_many_samples_there_are() -> None:
    labels, logits = [[1, 0], [1, 1]], np.zeros((2, 2), np.float32)
    for loss in (eq.losses.DistributionBalanced([60, 5]), eq.losses.Sigmoid(pos_weight="auto", counts=[60, 5])):
        assert loss([[1], [0]], logits[:, :1]).shape == ()
        with pytest.raises(eq.ConfigError, match=r"made for 1 logits.*ends in 2; .*those of several labels with it"):
            loss(labels, logits)
    of_labels = eq.losses.DistributionBalanced([60, 5], samples=100, reduction=None)
    # Of label 1 alone r is 1, of both it is 1/13 and 12/13; by hand, from the formula, without the focal factor.
    weights = 0.1 + 1 / (1 + np.exp(-10 * (np.array([[1.0, 12.0], [1 / 13, 12 / 13]]) - 0.2)))
    bias = -0.05 * np.log(100 / np.array([60, 5]) - 1) / 2
    margins = np.array([[bias[0], -2 * bias[1]], bias])
    losses = np.log1p(np.exp(-margins)) / (1 + np.exp(margins)) ** 2
    by_hand = 2 * (weights / [[1, 2], [1, 1]] * losses).mean(axis=1)
    assert of_labels(labels, logits).numpy() == pytest.approx(by_hand, rel=1e-5)
    for loss in (of_labels, eq.losses.Sigmoid(pos_weight=[3, 1])):
        with pytest.raises(eq.ConfigError, match="made for 2 logits, one for each label, and the model ends in 1"):
            loss([[1], [0]], logits[:, :1])


def test_a_loss_of_a_batch_takes_no_weights_of_samples() -> None:
    import keras

    loss, z = eq.losses.SoftF1(), np.zeros((2, 2), np.float32)
    assert float(loss([0, 1], z)) == pytest.approx(0.5)
    for name in ("SoftF1", "Recall", "AUCMargin", "LADE"):
        with pytest.raises(eq.ConfigError, match=r"is the loss of a whole batch.*leave them out"):
            made(name)([0, 1], np.zeros((2, 3), np.float32), sample_weight=[1, 5])
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", loss)
    model.fit(z, np.array([0, 1]), verbose=0)
    with pytest.raises(eq.ConfigError, match="class_weight, sample_weight: soft_f1"):
        model.fit(z, np.array([0, 1]), class_weight={0: 1, 1: 5}, verbose=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: eq.losses.BalancedSoftmax([3, 0]), r"counts=\[3.0, 0.0\]: every class needs a training sample"),
        (lambda: eq.losses.BalancedSoftmax([[3, 1]]), "one number a class"),
        (lambda: eq.losses.Loss("balanced_softmax"), "counts are missing"),
        (lambda: eq.losses.Sigmoid(pos_weight="auto"), "counts are missing"),
        (lambda: eq.losses.DistributionBalanced([60, 5, 7]), r"\[60.0, 5.0, 7.0\] without samples .*give samples="),
        (lambda: eq.losses.Loss("focl"), "loss=focl: there is no such loss; did you mean 'focal'"),
        (lambda: eq.losses.Loss("focal", gama=1), "gama: loss=focal has no such option here; did you mean 'gamma'"),
        (
            lambda: eq.losses.Loss("focal", implementation="custom"),
            "implementation: loss=focal has no such option here",
        ),
        (lambda: eq.losses.Focal(gamma=-1), "^gamma=-1: must be greater than or equal to 0"),
        (lambda: eq.losses.Focal(alpha=[1, -1]), r"^alpha.1=-1: must be greater than or equal to 0"),
        (lambda: eq.losses.CrossEntropy(class_weights=[1, np.nan]), "class_weights=.*not below 0"),
        (lambda: eq.losses.CostMatrix([[0, 1, 1], [1, 0, 1]]), "square matrix"),
        (lambda: eq.losses.CostMatrix([[1, 1], [1, 0]]), "a right prediction costs nothing"),
        (lambda: eq.losses.CostMatrix([[0, 0], [0, 0]]), "some wrong one must cost something"),
        (lambda: eq.losses.Loss("cost_matrix"), "costs are missing"),
    ],
)
def test_mistakes_are_told(make: Any, message: str) -> None:
    with pytest.raises(eq.ConfigError, match=message):
        make()
