"""Class weights of labels that a script has at hand: their forms, their defaults, and what Keras would get wrong."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

import equipoise as eq
from equipoise.config.choice import defaults
from equipoise.core.schema import keywords
from equipoise.methods.weighting import STRATEGIES

PETS = ["dog", "cat", "cat", "emu", "cat", "dog"]


@pytest.mark.parametrize(
    "labels",
    [
        PETS,
        np.array(PETS),
        np.array(PETS, dtype=object),
        pd.Series(PETS),
        pd.Series(PETS, dtype="category"),
        pd.Series(PETS, dtype="string"),
        np.array(PETS)[:, np.newaxis],
        Counter(PETS),
        pd.Series(PETS).value_counts().to_dict(),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_labels_of_every_form_are_counted(labels: Any) -> None:
    w = eq.class_weights(labels, "balanced")
    assert w.classes == ("cat", "dog", "emu")
    assert w.counts.tolist() == [3, 2, 1]
    assert w.weights.tolist() == compute_class_weight("balanced", classes=np.unique(PETS), y=PETS).tolist()
    assert w.sample_weight(PETS).tolist() == compute_sample_weight("balanced", PETS).tolist()
    assert w.indices(PETS).tolist() == [1, 0, 0, 2, 0, 1]
    assert w.as_dict() == {0: 2 / 3, 1: 1.0, 2: 2.0}
    assert all(type(key) is int and type(value) is float for key, value in w.as_dict().items())


def test_numbers_and_rows() -> None:
    numbers = np.array([2, 0, 0, 10, 0, 2])
    w = eq.class_weights(numbers, "inverse")
    assert w.classes == ("0", "2", "10"), "in the order of their values"
    assert w.weights.tolist() == [2, 3, 6]
    assert w.sample_weight([10, 0]).tolist() == [6, 2]
    assert eq.class_weights(numbers.astype(float), "inverse").classes == w.classes
    assert eq.class_weights(numbers > 0).classes == ("false", "true")
    rows = np.eye(3)[[2, 0, 0, 1]]
    assert eq.class_weights(rows, "max_ratio").weights.tolist() == [1, 2, 2]
    assert eq.class_weights(rows, "max_ratio").sample_weight(rows).tolist() == [2, 1, 1, 2]


def test_whole_numbers_are_indices_of_named_classes() -> None:
    w = eq.class_weights([1, 0, 1, 2, 1], classes=["emu", "cat", "dog"])
    assert w.classes == ("emu", "cat", "dog")
    assert w.counts.tolist() == [1, 3, 1]
    assert w.sample_weight(["cat", "dog"]).tolist() == w.sample_weight([1, 2]).tolist()
    assert eq.class_weights({"cat": 3, "emu": 1}, classes=["emu", "cat"]).counts.tolist() == [1, 3]


def test_numbers_that_keras_would_look_up_wrongly_are_refused() -> None:
    w = eq.class_weights([1, 2, 2, 3])
    with pytest.raises(eq.ConfigError, match=r"labels are 1, 2, 3, and Keras looks .* 0 to 2: use fit\(sample_weight="):
        w.as_dict()
    assert eq.class_weights([0, 1, 1, 2]).as_dict() == {0: 4 / 3, 1: 2 / 3, 2: 4 / 3}


@pytest.mark.parametrize("name", sorted({*STRATEGIES} - {"manual"}))
def test_options_have_the_defaults_of_their_yaml(name: str) -> None:
    values = defaults("weighting", name)
    own = {key: values[key] for key in ("normalize", *keywords(STRATEGIES[name]))}
    by_default, typed = eq.class_weights(PETS, name), eq.class_weights(PETS, name, **own)
    assert by_default.weights.tobytes() == typed.weights.tobytes()


def test_by_hand() -> None:
    w = eq.class_weights({"a": 1, "b": 2}, "effective_number", beta=0.5, normalize="none")
    assert w.weights.tolist() == pytest.approx([1, 2 / 3])
    assert w.share.tolist() == pytest.approx([3 / 7, 4 / 7])
    assert w.sample_mean == pytest.approx(7 / 9)
    assert w.effective_sample_size == pytest.approx((7 / 3) ** 2 / (17 / 9))
    assert eq.class_weights({"a": 1, "b": 2}, "manual", weights={"b": np.float32(5), "a": 1}).weights.tolist() == [1, 5]
    assert eq.class_weights({0: 1, 1: 2}, "manual", weights={0: 3, 1: 5}).weights.tolist() == [3, 5]


@pytest.mark.parametrize(
    ("labels", "words", "options", "message"),
    [
        (PETS, ("balnced",), {}, "weighting=balnced: there is no such weighting; did you mean 'balanced'"),
        (PETS, ("power",), {"alfa": 1}, "alfa: weighting=power has no such option here; did you mean 'alpha'"),
        (PETS, ("power",), {"schedule": "ramp"}, "schedule: weighting=power has no such option here"),
        (PETS, ("effective_number",), {"beta": 2}, "^beta=2: must be 'auto', or must be less than 1"),
        (PETS, ("balanced",), {"normalize": "mean"}, "^normalize=mean: must be 'none', 'sample_mean'"),
        (PETS, ("manual",), {"weights": {"cat": 1, "dog": 2}}, "weights has no number for emu"),
        (PETS, ("manual",), {}, "^weights is not set, and has no default"),
        (["cat", None], (), {}, "1 row of y has no label"),
        (["cat", "cat"], (), {}, "y has one value only"),
        ([0.5, 1.25, 3.125], (), {}, "y holds numbers such as"),
        (np.ones((2, 2, 2)), (), {}, r"labels of shape \(2, 2, 2\)"),
        ([[1, 1], [0, 1]], (), {}, "rows that are not one-hot"),
        ({"cat": 1.5, "dog": 2}, (), {}, "the numbers must be whole"),
        ({"1": 3, 1: 2, 2: 2}, (), {}, "y counts a class twice: 1, 1, 2"),
        ({"cat": 1, "dig": 2}, (), {"classes": ["cat", "dog"]}, "counts samples of dig, .* did you mean 'dog'"),
        ([0, 1], (), {"classes": ["cat", "dog", "emu"]}, "no training sample of class emu"),
        ([0, 3], (), {"classes": ["cat", "dog"]}, "y holds 3"),
        (PETS, (), {"classes": ["cat", "cat"]}, "a class is named twice"),
    ],
)
def test_mistakes_are_told(labels: Any, words: tuple[str, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(eq.ConfigError, match=message):
        eq.class_weights(labels, *words, **options)


def test_spellings_of_one_class_are_told() -> None:
    with pytest.warns(UserWarning, match=r"y: 'cat' \(1\) and 'cat ' \(1\) are the class 'cat'"):
        assert eq.class_weights(["cat", "cat ", "dog"]).counts.tolist() == [2, 1]


def test_shown_as_text_and_as_html() -> None:
    w = eq.class_weights({"<b>": 3, "dog": 1}, "balanced")
    assert repr(w).splitlines()[1:3] == ["       n  weight  share", "class"]
    assert repr(w).splitlines()[3] == "<b>    3  0.6667    0.5"
    page = w._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "balanced weights of 2 classes and 4 samples" in page
    assert w.frame.loc["dog"].tolist() == [1, 2, 0.5]
