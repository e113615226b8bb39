"""The page of a run is in the order in which a reader asks, self-contained, and true to the numbers."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import equipoise as eq
from equipoise.reports.page import Link
from equipoise.reports.run_page import as_html
from examples import evidence, evidence_of_labels
from pages import check_self_contained

QUESTIONS = [
    "Did it learn?",
    "Which classes suffer?",
    "What did the weights do?",
    "Would post-hoc adjustment have done as well?",
    "Can I trust the probabilities?",
]
OF_TWO_CLASSES = [*QUESTIONS[:-1], "Which threshold?", QUESTIONS[-1]]


def questions(page: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", page)


def captions(page: str) -> list[str]:
    return re.findall(r"<figcaption>([^<]*)</figcaption>", page)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_the_page_answers_in_order_and_needs_nothing_else(classes: int) -> None:
    found = evidence(classes)
    page = as_html(found)
    check_self_contained(page)
    assert questions(page) == (QUESTIONS if classes > 2 else OF_TWO_CLASSES)
    assert "balanced &lt;b&gt;&amp;&lt;/b&gt; cnn" in page
    assert len(page) < 1_200_000
    assert "weights that do nothing" in page
    for name, value in found.evaluation.summary.items():
        assert f'<tr><th scope="row">{name}</th><td>{value:.3f}</td>' in page
    assert "0.123</td><td>0.988" in page
    assert "changes balanced accuracy by +0.125" in page
    assert "under sgd that multiplies the learning rate by 1." in page
    assert f"total variation of {found.prediction_shift:.3f}" in page
    for name in found.data.classes:
        assert page.count(f'<tr><th scope="row">{name}</th>') == 2, "its metrics and its shares"
    if classes > 2:
        assert "no test samples of class" in page


def test_the_verdict_comes_first() -> None:
    found = evidence(10)
    verdict = as_html(found).partition('aria-label="Verdict"')[2].partition("</div>")[0]
    how_good, control, lowest = re.findall(r"<p>([^<]*)</p>", verdict)
    reached = found.evaluation.summary["balanced_accuracy"]
    assert how_good == (
        f"Balanced accuracy {reached:.3f}, 95 % from 0.123 to 0.988, on 270 test samples of 9 classes; "
        "one class for every sample would reach 0.111."
    )
    assert control == "Post-hoc adjustment of the same logits reaches 0.875, +0.125 against argmax."
    worst = found.evaluation.per_class["recall"][:9].argmin()
    assert lowest.startswith(f"Lowest recall: class number {worst} (")


def test_the_header_tells_where_the_run_comes_from() -> None:
    facts = [("Command", "python src/train.py seed=1"), ("Run", ["abc", Link("in MLflow", "https://here")])]
    page = as_html(replace(evidence(2), facts=facts))
    assert "<dt>Command</dt><dd>python src/train.py seed=1</dd>" in page
    assert '<dt>Run</dt><dd>abc<br><a href="https://here">in MLflow</a></dd>' in page
    assert "<dt>Data set</dt><dd>60 test samples<br>2 classes</dd>" in as_html(evidence(2)), "what is known at least"


def test_the_prediction_shift_by_hand() -> None:
    found = evidence(2)
    shares = found.evaluation.confusion.sum(axis=0) / 60
    assert found.prediction_shift == pytest.approx(abs(shares[0] - 0.5))


def test_the_page_tells_what_is_not_known() -> None:
    found = evidence(10, trained=False, corrected=False)
    page = as_html(found)
    check_self_contained(page)
    assert "no analytic form" in page
    assert "logit_adjusted" not in page
    assert not [caption for caption in captions(page) if "by epoch" in caption]
    assert [caption for caption in captions(as_html(evidence(10))) if "by epoch" in caption]


def test_several_labels_have_a_whole_report() -> None:
    page = as_html(evidence_of_labels(8))
    check_self_contained(page)
    assert questions(page) == [
        "Did it learn?",
        "Which labels suffer?",
        "What did the weights do?",
        "Do other thresholds do better?",
        "Can I trust the probabilities?",
    ]
    assert "95 % from 0.250 to 0.750, over 8 labels and 300 test samples with " in page
    shown = " ".join(captions(page))
    for what in ("Recall of each label", "F1 of each label", "Share with the label against probability of a label"):
        assert what in shown


def test_names_of_any_script_and_length_do_no_harm() -> None:
    found = evidence(3)
    names = ("</script><b>", "עברית", "x" * 500)
    page = as_html(
        replace(
            found, data=replace(found.data, classes=names), weights=replace(found.weights, classes=names), warnings=()
        )
    )
    check_self_contained(page)
    assert "</script><b>" not in page
    assert "\u2068עברית\u2069 (" in page, "the numbers after it stay after it"
    assert "x" * 200 not in page
    named = [json.loads(spec) for spec in re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)]
    assert any(names[:2] == tuple(spec["params"][0]["value"][:2]) for spec in named if spec["params"])


def test_the_script_of_plain_keras_is_shown_to_be_copied() -> None:
    found = evidence(2)
    script = 'x = "<b>"\nprint(x)  # & more\n'
    page = as_html(found, script)
    check_self_contained(page)
    assert questions(page) == [*OF_TWO_CLASSES, "The same in plain Keras"]
    assert "<pre>x = &#34;&lt;b&gt;&#34;\nprint(x)  # &amp; more\n</pre>" in page
    assert "<details><summary>plain_keras.py</summary>" in page
    assert '<button type="button" class="copy">' in page
    assert "2 lines with TensorFlow, Keras and NumPy alone" in page


@pytest.mark.parametrize(
    ("decision", "options", "told"),
    [
        ("abstain", {"reject_cost": 0.3}, "of the test samples are given a class"),
        ("conformal", {}, "A set has"),
    ],
)
def test_what_a_rule_leaves_open_has_a_part_and_columns_in_the_tables(
    decision: str, options: dict[str, float], told: str
) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=200)
    logits = generator.normal(size=(200, 3)) + 2 * np.eye(3)[labels]
    found = eq.evaluate(
        labels[:100],
        logits[:100],
        ["a", "b", "c d"],
        validation=(labels[100:], logits[100:]),
        decision=decision,
        decision_options=options,
        resamples=0,
    )
    page = as_html(found.evidence)
    check_self_contained(page)
    assert questions(page).index("What does it leave open?") == questions(page).index("Which classes suffer?") + 1
    assert told in page
    names = {"abstain": ["coverage", "error decided"], "conformal": ["set size", "set coverage"]}[decision]
    assert all(re.search(rf">{name}\s*<", page) for name in names)
    by_rule = found.evidence.rules
    left_out = int((found.frame["predicted"].isna()).sum())
    if decision == "abstain":
        assert by_rule["abstain"]["coverage"] == 1 - left_out / 100 < 1
        assert f"without {left_out} samples that are given no class" in page
        assert 0 < found.evidence.prediction_shift <= 1
    else:
        assert left_out == 0
        assert "set_size" not in by_rule["argmax"]


def test_of_many_classes_the_lowest_that_are_left_open_are_shown_and_means_by_rank() -> None:
    """Of 210 classes the rarest is ruled out most often, and is of those that stand apart."""
    generator = np.random.default_rng(0)
    names, labels = [f"c{number}" for number in range(210)], np.repeat(np.arange(210), [2] * 209 + [1])
    logits = 8 * np.eye(210)[labels] + generator.normal(size=(len(labels), 210))
    logits[-1, -1] = -9.0  # rejected: it is probably of no class, and the last of the tail
    options = {"reject_cost": 0.4}
    found = eq.evaluate(labels, logits, names, decision="abstain", decision_options=options, resamples=0)
    page = as_html(found.evidence)
    part = page.split("What does it leave open?</h2>")[1].split("<h2")[0]
    assert "There are 210: the first table has means by rank, the second the 20 that are lowest" in part
    assert "ranks 1-21" in part
    assert "ranks 190-210" in part
    assert part.index("c209") < part.index("c0")


def test_what_labels_are_left_open_has_a_part() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=(100, 2))
    logits = generator.normal(size=(100, 2)) + labels
    found = eq.evaluate(labels, logits, ["a", "b"], validation=(labels, logits), decision="conformal", resamples=0)
    assert "What does it leave open?" in questions(as_html(found.evidence))
