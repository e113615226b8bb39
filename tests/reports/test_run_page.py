"""The page of a run is in the order in which a reader asks, self-contained, and true to the numbers."""

import re

import pytest

from equipoise.reports.run_page import as_html, pictures
from examples import evidence
from pages import check_self_contained

QUESTIONS = [
    "Did it learn?",
    "Which classes suffer?",
    "What did the weights do?",
    "Would post-hoc adjustment have done as well?",
    "Can I trust the probabilities?",
]


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_the_page_answers_in_order_and_needs_nothing_else(classes: int) -> None:
    found = evidence(classes)
    page = as_html(found, pictures(found))
    check_self_contained(page)
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", page) == QUESTIONS
    assert "balanced &lt;b&gt;&amp;&lt;/b&gt; cnn" in page
    assert len(page) < 3_000_000
    assert page.count("<img ") == 5
    assert "weights that do nothing" in page
    for name, value in found.evaluation.summary.items():
        assert f"<tr><td>{name}</td><td>{value:.3f}</td>" in page
    assert "0.123</td><td>0.988" in page
    assert "changes balanced accuracy by +0.125" in page
    assert "under sgd that multiplies the learning rate by 1." in page
    assert f"total variation of {found.prediction_shift:.3f}" in page
    for index in found.data.head_to_tail:
        assert page.count(f"<tr><td>{found.data.classes[index]}</td>") == 2, "its metrics and its shares"
    if classes > 2:
        assert "no test samples of class" in page


def test_the_prediction_shift_by_hand() -> None:
    found = evidence(2)
    shares = found.evaluation.confusion.sum(axis=0) / 60
    assert found.prediction_shift == pytest.approx(abs(shares[0] - 0.5))


def test_the_page_tells_what_is_not_known() -> None:
    found = evidence(10, trained=False, corrected=False)
    page = as_html(found, pictures(found))
    check_self_contained(page)
    assert "no analytic form" in page
    assert "logit_adjusted" not in page
    assert page.count("<img ") == 4, "no training curves"


def test_the_script_of_plain_keras_is_shown_to_be_copied() -> None:
    found = evidence(2)
    script = 'x = "<b>"\nprint(x)  # & more\n'
    page = as_html(found, pictures(found), script)
    check_self_contained(page)
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", page) == [*QUESTIONS, "The same in plain Keras"]
    assert "<pre>x = &quot;&lt;b&gt;&quot;\nprint(x)  # &amp; more\n</pre>" in page
    assert "<details><summary>plain_keras.py</summary>" in page
    assert '<button type="button" class="copy">' in page
    assert "2 lines with TensorFlow, Keras and NumPy alone" in page
