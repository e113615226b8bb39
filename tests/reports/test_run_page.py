"""The page of a run: in the order in which a reader asks, self-contained, true to the numbers, from 2 to 100 classes."""

import re
from html.parser import HTMLParser

import pytest
from test_figures import example

from equipoise.metrics.classification import log_softmax
from equipoise.metrics.intervals import Interval
from equipoise.reports.run_page import Evidence, as_html, pictures

QUESTIONS = [
    "Did it learn?",
    "Which classes suffer?",
    "What did the weights do?",
    "Would post-hoc adjustment have done as well?",
    "Can I trust the probabilities?",
]
VOID = {"meta", "br", "link", "img", "input", "path", "use", "rect"}


class Balanced(HTMLParser):
    """Fails on a tag that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass


def check_self_contained(page: str) -> None:
    """Nothing to fetch, nothing left open, no id twice, no reference to an id that is not there."""
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page)) <= {
        pair for name in ids for pair in ((name, ""), ("", name))
    }


def evidence(classes: int, *, trained: bool = True, corrected: bool = True) -> Evidence:
    data, weights, evaluation, labels, logits = example(classes, absent=classes > 2)
    history = [
        {
            f"{split}/{name}": 0.5
            for split in ("train", "val")
            for name in ("loss", "log_loss", "balanced_accuracy", "macro_f1", "accuracy")
        }
    ] * 10
    rule = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "mcc", "worst_class_recall"), 0.75)
    return Evidence(
        name="balanced <b>&</b> cnn",
        data=data,
        weighting="balanced",
        weights=weights,
        optimizer="sgd",
        labels=labels,
        log_probabilities=log_softmax(logits),
        corrected=log_softmax(logits) if corrected else None,
        evaluation=evaluation,
        intervals={"balanced_accuracy": Interval(0.1234, 0.9876)},
        rules={"argmax": rule, **({"logit_adjusted": {**rule, "balanced_accuracy": 0.875}} if corrected else {})},
        history=history if trained else [],
        shares={"gradient_share": weights.share},
        warnings=["weights that do nothing"],
    )


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
        assert "no test sample of class" in page


def test_the_prediction_shift_by_hand() -> None:
    found = evidence(2)
    shares = found.evaluation.confusion.sum(axis=0) / 60
    assert found.prediction_shift == pytest.approx(abs(shares[0] - 0.5))


def test_what_is_not_known_is_said_and_not_shown() -> None:
    found = evidence(10, trained=False, corrected=False)
    page = as_html(found, pictures(found))
    check_self_contained(page)
    assert "no analytic form" in page
    assert "logit_adjusted" not in page
    assert page.count("<img ") == 4, "no training curves"
