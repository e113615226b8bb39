"""Python as text: lines that fit, comments that stay comments, strings in double quotation marks."""

import ast

import pytest

from equipoise.training.plain.writing import WIDTH, beside, comment, function, in_docstring, wrapped, written

LONG = ", ".join(f"argument_{number}=[{number}, 'a, (b']" for number in range(12))


@pytest.mark.parametrize(
    "line",
    [
        f"    model.fit({LONG})",
        f"x = first({LONG}) + second({LONG})[0]",
        f"x = np.mean([{' + '.join(f'value_{number}' for number in range(9))} for value in zip({LONG}) if value])",
        f"return np.mean([f(a, b) for a, b in zip(predicted_{'x' * 60}, truth_{'y' * 60}, strict=True) if b.any()])",
        f"x = [{', '.join(['[' + ', '.join(['1.5'] * 12) + ']'] * 12)}]",
    ],
)
def test_a_long_line_is_opened_up_and_means_the_same(line: str) -> None:
    lines = wrapped(line)
    assert len(lines) > 1
    assert max(map(len, lines)) <= WIDTH
    indent = len(line) - len(line.lstrip())
    before, after = ("\n".join(each[indent:] for each in text) for text in ([line], lines))
    assert ast.dump(ast.parse(before)) == ast.dump(ast.parse(after))


def test_what_fits_or_cannot_be_broken_stays() -> None:
    for line in ("x = f(1)", f"x = '{'(' * 130}'", f"# {'word ' * 40}"):
        assert wrapped(line) == [line]


def test_strings_are_in_double_quotation_marks_but_for_those_that_hold_some() -> None:
    statements = ast.parse("""x = {'a': 'it"s', 'b': "it's"}""").body
    assert written(statements) == ["""x = {"a": 'it"s', "b": "it's"}"""]


def test_comments_and_docstrings_hold_whatever_was_typed() -> None:
    assert comment("a\nb\tc \x1b[0m") == ["# a b c \\x1b[0m"]
    assert len(comment("word " * 40)) == 2
    assert beside("1,", "name\nimport os") == "1,  # name import os"
    assert len(beside("1,", "x" * 200)) <= WIDTH - 4
    assert in_docstring('a"""b\\N') == "a'''b/N"


def test_a_function_with_a_long_document() -> None:
    lines = function("loss", ["labels", "logits"], "word " * 40, ["return logits"])
    assert lines[0] == "def loss(labels, logits):"
    assert lines[-2:] == ['    """', "    return logits"]
    assert max(map(len, lines)) <= WIDTH
