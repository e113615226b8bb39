"""How commands are named: as programs of this checkout, which tests run in."""

from equipoise.core import commands


def test_a_checkout_names_its_programs() -> None:
    assert commands.command("compare") == "python src/compare.py"
    assert commands.source("train") == "src/train.py"
    text = "\n  python src/sync.py FOLDER …\n"
    assert commands.as_typed(text) == text


def test_every_program_has_its_command() -> None:
    """And every command its program of a few lines, which does the same in a checkout."""
    from equipoise.commands import program
    from helpers import REPOSITORY

    assert set(program.commands()) == {file.stem for file in (REPOSITORY / "src").glob("*.py")}
    assert program.commands()["evaluate"] == "Evaluate a logged model again, without training."
