"""Words of the commands beside train.py, right and wrong."""

from collections.abc import Sequence

import pytest

from equipoise.core import key_values
from equipoise.core.errors import ConfigError


def test_words_are_read_as_typed() -> None:
    found = key_values.read(["run=a=b", "shards=016", "rope=1e-2"], ("run", "shards", "rope", "tracking"))
    assert found == {"run": "a=b", "shards": "016", "rope": "1e-2"}
    assert (key_values.whole_number(found, "shards"), key_values.number(found, "rope"), key_values.store(found)) == (
        16,
        0.01,
        "local",
    )
    assert (key_values.whole_number({}, "shards"), key_values.number({}, "rope")) == (None, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rope"], "rope: expected key=value, with a key of rope, shards, tracking"),
        (["rope="], "rope=: expected key=value"),
        (["rpe=1"], "rpe=1: there is no option rpe; did you mean 'rope'?"),
        (["rope=1", "rope=2"], "rope=2: rope is typed twice"),
        (["tracking=sever"], "tracking=sever: there is no such tracking; did you mean 'server'?"),
        (["rope=much"], "rope=much: must be a number greater than 0"),
        (["rope=inf"], "rope=inf: must be a number greater than 0"),
        (["shards=0"], "shards=0: must be a whole number from 1"),
        (["shards=1.5"], "shards=1.5: must be a whole number from 1"),
    ],
)
def test_a_mistake_is_named(words: list[str], said: str) -> None:
    def read() -> None:
        options = key_values.read(words, ("rope", "shards", "tracking"))
        key_values.store(options)
        key_values.number(options, "rope")
        key_values.whole_number(options, "shards")

    with pytest.raises(ConfigError) as caught:
        read()
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(("args", "code"), [((), 130), (("SIGTERM",), 143)])
def test_an_interruption_is_a_line(args: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def act(_words: Sequence[str]) -> int:
        raise KeyboardInterrupt(*args)

    assert key_values.answer([], "", act) == code
    assert capsys.readouterr() == ("", "interrupted\n")
