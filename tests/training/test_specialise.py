"""Functions under what is known of their arguments: what is decided, what is left, and that it means the same."""

import ast
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.config.choice import defaults
from equipoise.core.errors import ConfigError
from equipoise.core.schema import keywords
from equipoise.methods.weighting import STRATEGIES
from equipoise.training.plain.definitions import Definitions, Text
from equipoise.training.plain.known import PURE, computed
from equipoise.training.plain.specialise import Fields, UndecidedError, specialise
from equipoise.training.plain.tensors import FLOAT32, INT32, Tensor

FACTOR = 3


def looped(x: Any, *, sizes: tuple[int, ...], rate: float) -> Any:
    y = x
    for size in sizes:
        y = np.add(y, size)
        y = np.multiply(y, rate) if rate else y
    return np.sum(y)


def branched(x: Any, *, kind: str, power: int = 2) -> Any:
    """Branches."""
    if kind == "wrong":
        raise ValueError(kind)
    count = len(kind)
    if kind == "plain":
        return x
    if power > 1:
        x = x**power
    result: Any = x * count + 0 * power
    assert result is not None
    return result


def undecided(x: Any, threshold: float) -> Any:
    step = 1
    if x > threshold:
        step = 2
    return x + step


def returns_anywhere(x: Any) -> Any:
    if x > 1:
        return x
    return -x


def comprehends(x: Any) -> Any:
    return sum(value for value in x)


def scaled(x: Any, factor: float) -> Any:
    return x * factor


def doubled(x: Any) -> Any:
    return x + x


def shifted(x: Any) -> Any:
    offset = x - 1
    return np.abs(offset)


def calls(x: Any) -> Any:
    return scaled(x, FACTOR) + doubled(x) + doubled(x - 1) + shifted(x)


def swapped(x: Any, y: Any) -> Any:
    y = y + x
    return y, x


def takes_apart(x: Any, y: Any) -> Any:
    x, y = swapped(x, y)
    return x - y


def with_a_local_of_its_own(x: Any, offset: Any) -> Any:
    y = shifted_twice(x)
    return y + offset


def shifted_twice(x: Any) -> Any:
    offset = x - 1
    return offset * offset


def collected(*values: Any) -> Any:
    return np.sum(values)


def with_a_default(x: Any, options: Any = np.pi.__class__) -> Any:
    return options(x)


def calls_in_other_ways(x: Any, y: Any) -> Any:
    return collected(x, y) + scaled(*y) + scaled(**y) + with_a_default(x) + 1 * x + 1.0 * y + 0.0


def drawn(x: Any, *, size: int) -> Any:
    noise = np.random.normal(size=size)
    return x + noise


def draws(x: Any) -> Any:
    first = drawn(drawn(x, size=1), size=2)
    return drawn(first, size=3)


def of_form(labels: Any, logits: Any) -> Any:
    import tensorflow as tf

    logits = tf.cast(logits, tf.float32)
    if logits.shape[-1] == 1:
        logits = tf.concat([tf.zeros_like(logits), logits], axis=-1)
    labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
    values = tf.nn.log_softmax(logits)
    if labels.dtype.is_integer:
        return tf.gather(values, labels, batch_dims=values.shape.rank - 1)
    return values


def compares(labels: Any, logits: Any) -> Any:
    return logits * (labels == 1) if labels is not None else logits


def of_known(known: Any) -> dict[str, Any]:
    return {} if known.several else {"prior": known.prior**2}


def uses_pandas(x: Any) -> Any:
    return st.none() if x is None else list(x)


def left_of(function: Callable[..., Any], **known: Any) -> str:
    found = specialise(function, known)
    return "\n".join([*map(ast.unparse, found.statements), f"return {ast.unparse(found.result)}"])


EXPRESSIONS = [
    *("2 + 3 * 4 - 5 / 2 // 1 % 7", "-(2 ** 3)", "not 1", "1 < 2 <= 2 != 3", "3 > 2 > 2", "'a' in ('a', 'b')"),
    *("0 or 2.5", "1 and 0 and 2", "None or ''", "None is None", "None is not None", "3 not in [1, 2]"),
    *("max(1, min(5, 3))", "len((1, 2)[1:])", "float(int('3'))", "(4, 5)[-1]", "'x' if 0 else 'y'"),
    *("sum(range(4))", "isinstance(2.0, (int, str))", "list(zip((1, 2), (3, 4)))", "str(1) + 'a'"),
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions_have_the_value_that_python_gives_them(text: str) -> None:
    node = ast.parse(text, mode="eval").body
    if ":" in text:
        with pytest.raises(TypeError, match="Slice is not computed"):
            computed(node, PURE.__getitem__)
    else:
        found = computed(node, PURE.__getitem__)
        assert (type(found), found) == (type(eval(text)), eval(text))


def test_an_unknown_name_is_asked_for_only_where_it_counts() -> None:
    assert computed(ast.parse("1 or x", mode="eval").body, PURE.__getitem__) == 1
    for text in ("x or 1", "x is None", "open('/')", "(lambda: 1)()"):
        with pytest.raises((LookupError, TypeError)):
            computed(ast.parse(text, mode="eval").body, PURE.__getitem__)


class Layers:
    """Layers of which each is a name, numbered in the order in which they are made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Callable[..., str]]:
        def make(*options: Any) -> Callable[..., str]:
            self.made.append(f"{name}{options}")
            number = len(self.made)
            return lambda *inputs: f"{number}{inputs}"

        return make


layers = Layers()


def block(x: Any, width: int, stride: int = 1) -> Any:
    shortcut = x
    if stride > 1:
        shortcut = layers.Conv(width, stride)(x)
    x = layers.Conv(width, stride)(x)
    x = layers.Norm()(x)
    return layers.Add()(layers.Conv(width, 1)(x), shortcut)


def dense(x: Any, units: int) -> Any:
    x = layers.Dense(units)(x)
    return layers.Dropout(0.5)(x)


def residual(shape: Any, logits: int, *, depth: int, widths: tuple[int, ...]) -> Any:
    inputs = x = layers.Input(shape)()
    for stage, width in enumerate(widths):
        for index in range(depth):
            x = block(x, width, 2 if stage and not index else 1)
    x = dense(dense(x, 8), 4)
    return layers.Model()(inputs, layers.Dense(logits)(layers.Pool()(x)))


def test_layers_of_a_deep_model_are_made_in_the_same_order() -> None:
    options: dict[str, Any] = {"shape": (8, 8, 3), "logits": 5, "depth": 2, "widths": (16, 32)}
    text = left_of(residual, **options)
    assert text.count("layers.Conv(32, 2)(x)") == 2
    assert "for " not in text
    assert "if " not in text
    layers.made.clear()
    expected = residual(**options)
    made = Layers()
    namespace: dict[str, Any] = {"layers": made, "dense": FunctionType(dense.__code__, {"layers": made})}
    body, _, result = text.rpartition("return ")
    exec(f"{body}found = {result}", namespace)
    assert (namespace["found"], made.made) == (expected, layers.made)


def test_loops_are_unrolled_and_branches_decided() -> None:
    assert left_of(looped, sizes=(4, 5), rate=0.0) == "y = x\ny = np.add(y, 4)\ny = np.add(y, 5)\nreturn np.sum(y)"
    assert left_of(looped, sizes=(4,), rate=0.5).splitlines()[1:3] == ["y = np.add(y, 4)", "y = np.multiply(y, 0.5)"]
    assert left_of(branched, kind="plain", power=1) == "return x"
    assert left_of(branched, kind="other", power=2) == "x = x ** 2\nresult = x * 5\nreturn result"


def test_what_is_not_known_stays() -> None:
    assert left_of(undecided, threshold=3.5) == "step = 1\nif x > 3.5:\n    step = 2\nreturn x + step"
    assert left_of(looped, rate=0.5).splitlines()[1] == "for size in sizes:"


@pytest.mark.parametrize(("function", "why"), [(returns_anywhere, "returns where"), (comprehends, "GeneratorExp")])
def test_what_is_not_followed_is_refused(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(UndecidedError, match=why):
        specialise(function, {})


def test_small_functions_are_put_in_place_unless_an_argument_would_be_computed_twice() -> None:
    assert left_of(calls) == "return x * 3 + (x + x) + doubled(x - 1) + np.abs(x - 1)"
    assert specialise(calls, {}).names.keys() == {"np", "doubled"}


def test_calls_that_cannot_be_followed_stay() -> None:
    assert left_of(calls_in_other_ways) == (
        "return collected(x, y) + scaled(*y) + scaled(**y) + with_a_default(x) + 1 * x + y + 0.0"
    )


def test_a_function_with_statements_comes_before_what_uses_it_unless_its_names_are_taken() -> None:
    assert left_of(takes_apart) == "x, y = (y + x, x)\nreturn x - y"
    assert left_of(with_a_local_of_its_own) == "y = shifted_twice(x)\nreturn y + offset"


def test_what_draws_numbers_keeps_its_turn() -> None:
    assert left_of(draws).splitlines() == [
        "first = drawn(drawn(x, size=1), size=2)",
        "noise = np.random.normal(size=3)",
        "return first + noise",
    ]


def test_tensors_decide_by_shape_and_type() -> None:
    sparse = left_of(of_form, labels=Tensor((None,)), logits=Tensor((None, 3)))
    assert sparse.splitlines() == [
        "labels = tf.cast(labels, tf.int32)",
        "values = tf.nn.log_softmax(logits)",
        "return tf.gather(values, labels, batch_dims=1)",
    ]
    binary = left_of(of_form, labels=Tensor((None, 1)), logits=Tensor((None, 1))).splitlines()
    assert binary[0] == "logits = tf.concat([tf.zeros_like(logits), logits], axis=-1)"
    assert binary[1] == "labels = tf.reshape(tf.cast(labels, tf.int32), [-1])"


def test_values_of_tensors_decide_nothing() -> None:
    assert left_of(compares, labels=Tensor((None,)), logits=Tensor((None,))) == "return logits * (labels == 1)"
    with pytest.raises(TypeError):
        bool(Tensor((None,)))
    with pytest.raises(TypeError):
        Tensor((None,)).shape[0]


def test_shapes_broadcast_as_in_numpy() -> None:
    left, right = Tensor((None, 3)), Tensor((3,))
    assert (left * right + 1.0).is_like(left)
    assert (-right - left).is_like(left)
    assert (Tensor((None, 1)) + right).is_like(left)
    assert not left.is_like(Tensor((None, 3), INT32))
    for other in (Tensor((4,)), Tensor((3,), INT32), True):
        with pytest.raises(TypeError):
            left + other
    assert FLOAT32.is_integer is False


def test_fields_stand_for_expressions() -> None:
    known = Fields({"several": False}, {"prior": "counts / counts.sum()"})
    assert left_of(of_known, known=known) == "return {'prior': (counts / counts.sum()) ** 2}"
    assert left_of(of_known, known=Fields({"several": True}, {})) == "return {}"
    with pytest.raises(UndecidedError, match="prior is not known"):
        left_of(of_known, known=Fields({"several": False}, {}))


COUNTS = st.lists(st.integers(1, 10_000), min_size=2, max_size=6).map(np.array)
# Beside the defaults of the YAML.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "effective_number": {"beta": "auto"},
    "log_damped": {"mu": 0.15},
    "manual": {"weights": [1.0, 2.0]},
}


@pytest.mark.parametrize("name", STRATEGIES)
@given(counts=COUNTS)
def test_what_is_written_means_what_the_function_means(name: str, counts: Any) -> None:
    definitions = Definitions()
    typed = {**defaults("weighting", name), **OPTIONS.get(name, {})}
    options = {option: typed[option] for option in keywords(STRATEGIES[name])}
    lines = definitions.result_of(f"weighting={name}", "found", STRATEGIES[name], Text("counts"), **options)
    namespace: dict[str, Any] = {"np": np, "counts": counts}
    exec("\n".join([*definitions.lines, *lines]), namespace)
    assert (np.asarray(namespace["found"]) == STRATEGIES[name](counts, **options)).all()


def test_what_cannot_be_put_in_place_is_defined_as_it_stands() -> None:
    definitions = Definitions()
    assert definitions.result_of("loss=mine", "found", comprehends, Text("x")) == ["found = comprehends(x)"]
    assert definitions.result_of("loss=mine", "x", calls, Text("x")) == [
        "x = x * 3 + (x + x) + doubled(x - 1) + np.abs(x - 1)"
    ]
    text = "\n".join(definitions.lines)
    assert "def comprehends(x):\n    return sum((value for value in x))" in text
    assert "def doubled(x):\n    return x + x" in text
    assert "Any" not in text, "annotations are left out"


def test_more_than_the_three_libraries_is_refused_by_name() -> None:
    with pytest.raises(
        ConfigError, match=r"^loss=mine uses hypothesis\.strategies: a script of plain Keras has .* alone"
    ):
        Definitions().call("loss=mine", uses_pandas, Text("x"))
    with pytest.raises(ConfigError, match="has a function model, a name that the script has for something else"):
        Definitions().add("loss=mine", {"model": doubled})
