"""Hints work when typed: the real parser takes every `option=value` of a message, and the complaint does not return."""

import ast
import functools
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from bad_data import BAD as BAD_DATA
from bad_data import TWELVE
from data_files import csv_with, npz_with, parquet_with
from equipoise.config import overrides
from equipoise.config.model import validate
from equipoise.config.overrides import readable
from equipoise.core.errors import ConfigError
from equipoise.core.paths import config_folder
from equipoise.core.typed import list_in, mapping_in, whole
from equipoise.data.prepare import prepare
from equipoise.sweeps import planning
from equipoise.sweeps.planning import plan, prepare_all, words_for_hydra
from helpers import REPOSITORY, composed_dataset
from mistakes import MISTAKES

GROUPS = sorted(folder.name for folder in config_folder().iterdir() if folder.is_dir())
KEY = rf"(?:{'|'.join(GROUPS)}|evaluation)(?:\.[a-z_0-9]+)*|cost|seed|sweep"
BRACKETS = r"\[[^\]\s]*\]|\{(?:[^{}]|\{[^{}]*\})*\}"
# A word as a shell takes it, quoted whole or in part.
HINT = re.compile(
    rf"""'(?:{KEY})=(?:"[^"]*"|\["[^"]*"\]|\{{[^']*\}}|[^'"]*\\\$[^'"]*)'|(?<![\w./'{{-])(?:{KEY})=(?:{BRACKETS}|"[^"]*"|'[^']*'|[^\s;,:)('"]+)"""
)


def hints(message: str) -> list[str]:
    """The words that the message would have typed, as a shell hands them over."""
    told = "\n".join(line for line in message.splitlines() if not line.startswith("  (in the job"))
    found = [shlex.split(word)[0] if word.startswith("'") else word.rstrip(".") for word in HINT.findall(told)]
    return [
        word for word in found if not any(line.startswith(word) for line in told.splitlines())
    ]  # which is what was typed


def complaint(words: Sequence[str]) -> str:
    """What is said of these words and their data; nothing if all is well."""
    try:
        found = plan(words)
        assert found is not None
        prepare_all(found)
    except ConfigError as error:
        return str(error)
    return ""


def with_hint(words: Sequence[str], hint: str) -> list[str]:
    """What a user types after reading the hint: the word in place of the one of that key."""
    key = hint.partition("=")[0]
    return [*(word for word in words if word.partition("=")[0] != key), hint]


def subject(message: str) -> str:
    """What a message complains about, without what was typed and where it was found."""
    return re.sub(r"\d+|'[^']*'|\S*/\S*|\S+=\S+", "…", (message.splitlines() or [""])[0])


SPECIAL = 'x (cm),Class Label,a=b,target (y/n),"weight,kg",größe,null\n' + "".join(
    f"{i},{'ab'[i % 2]},{i % 5},{'yn'[i % 2]},{i % 3},{i % 7},1\n" for i in range(60)
)


def special(*more: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "data (1).csv").write_text(SPECIAL)
        return ["dataset=csv", f"dataset.path={folder}/data (1).csv", *more]

    return make


ODD = "x,y,${y},[y],null,1e5\n" + "".join(f"{i % 7}" + [",a", ",b"][i % 2] * 5 + "\n" for i in range(60))


def odd(*more: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "odd.csv").write_text(ODD)
        return ["dataset=csv", f"dataset.path={folder}/odd.csv", *more]

    return make


LABELS = {
    "None is a class": csv_with("x,y\n" + "".join(f"{i},{('None', 'Mild')[i % 2]}\n" for i in range(40))),
    "NA in Parquet": parquet_with(x=np.arange(40.0), y=["NA", "b"] * 20),
    "nan in an array": npz_with(x=np.arange(80.0).reshape(40, 2), y=np.array(["nan", "b"] * 20)),
    "too few of a class to divide": csv_with("x,y\n" + TWELVE + "1,rare\n"),
    "a column whose name looks like two": lambda folder: csv_with(
        'x,"weight,kg",y\n' + "".join(f"{i % 9},key{i},{'ab'[i % 2]}\n" for i in range(300))
    )(folder),
    "a list of columns": special("dataset.target=weight,kg"),
    "nearly that column": special("dataset.target=weight;kg"),
    "columns without brackets": special("dataset.target=Class Label", "dataset.drop=größe,null"),
    "labels without brackets": lambda folder: [
        "dataset=multilabel",
        *csv_with("x,rain,wind\n" + "".join(f"{i % 9},{i % 2},{i % 3 // 2}\n" for i in range(90)))(folder)[1:2],
        "dataset.targets=rain,wind",
        "loss=sigmoid",
    ],
    "weights without braces": special("dataset.target=Class Label", "weighting=manual", "weighting.weights=a:1,b:5"),
    "a column named as a reference": odd("dataset.target=${y}"),
    "columns named as references": odd("dataset.target=y", "dataset.drop=[${y},x]"),
    "a column named null": odd("dataset.target=null"),
    "columns named null": odd("dataset.target=y", "dataset.drop=null"),
    "a column in brackets": odd("dataset.target=y", "dataset.drop=[[y]]"),
    "a column named as a number": odd("dataset.target=y", "dataset.drop=[1e5]"),
}
CASES: dict[str, tuple[Callable[[Path], list[str]], bool]] = {
    **{f"data: {name}": (make, False) for name, (make, _) in BAD_DATA.items()},
    **{f"words: {' '.join(words)}": ((lambda _, words=words: list(words)), False) for words, _ in MISTAKES},
    **{f"labels: {name}": (make, True) for name, make in LABELS.items()},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all cases, so that data which several of them name are prepared once."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_hint_that_is_typed_ends_the_complaint(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "cache_folder", lambda: cache)
    make, has_hint = CASES[name]
    words = make(tmp_path)
    words = (
        words
        if name.startswith("words") or any(word.startswith("model=") for word in words)
        else [*words, "model=linear"]
    )
    message = complaint(words)
    assert message, "nothing is wrong"
    given = [hint for hint in dict.fromkeys(hints(message)) if changes(words, hint)]
    for hint in given:
        again = complaint(with_hint(words, hint))
        assert subject(again) != subject(message), (hint, again)
        assert "cannot be read" not in again, (hint, again)
        assert "there is no option" not in again, (hint, again)
    assert given or not has_hint, message


def changes(words: Sequence[str], hint: str) -> bool:
    """Whether the word changes the config: a message also repeats what was typed, and what is the default."""
    if hint in words or "…" in hint:
        return False
    before, after = composition(tuple(words)), composition((*words, hint))
    return before is None or after is None or bool(before != after)


@functools.lru_cache(maxsize=8)
def composition(words: tuple[str, ...]) -> DictConfig | None:
    """What Hydra composes of these words; None if it refuses them."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        try:
            return overrides.compose_words(readable([word for word in words if not word.startswith("-")]))
        except (ConfigError, HydraException):
            return None


TOLD_BY = ("ConfigError", "ValueError", "warn", "append", "note")  # the calls that take what is to be told


def literals() -> Iterator[tuple[str, str]]:
    """Every hint without a placeholder in the texts of the source, and where it stands."""
    for file in sorted((REPOSITORY / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in TOLD_BY:
                for hint in (hint for text in _texts(node) for hint in hints(text)):
                    if not re.search(r"\x00|…|[A-Z]{2}", hint):
                        yield hint, f"{file.name}:{node.lineno}"


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts below, with a NUL for what is put in."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\x00" for part in node.values)
    elif isinstance(node, ast.Constant):
        yield node.value if isinstance(node.value, str) else ""
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


@pytest.mark.slow
def test_every_hint_in_the_source_names_an_option_and_a_value_that_exist() -> None:
    found = dict(literals())
    assert len(found) > 40
    for hint, place in found.items():
        check_hint(hint, place)


def check_hint(hint: str, place: str) -> None:
    key = hint.partition("=")[0]
    group, _, option = key.partition(".")
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        words = readable([hint])
        for override in overrides.parse(words):
            overrides.check_name(override)
        if not option or group == "hydra":
            return
        folder = config_folder() / group
        shared = "".join(file.read_text() for file in folder.glob("shared/*.yaml"))
        texts = {file.stem: file.read_text() for file in folder.glob("*.yaml")} or {
            "": (config_folder() / "config.yaml").read_text()
        }
        holders = [
            stem
            for stem, text in texts.items()
            if re.search(rf"^ *{option}:", text + (shared if "shared/" in text else ""), re.MULTILINE)
        ]
        assert holders, f"{place}: no {group} has the option {option}"
        said = [_said_of(*([f"{group}={stem}"] if stem else []), *words) for stem in holders]
    assert not any(key in complaint for complaint in said), (hint, place)


def _said_of(*words: str) -> str:
    try:
        validate(OmegaConf.to_container(overrides.compose_words(words), resolve=True))  # type: ignore[arg-type]
    except ConfigError as error:
        return str(error)
    return ""


class TestWordsWithoutQuotes:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(planning, "cache_folder", lambda: tmp_path / "cache")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "data (1).csv").write_text(SPECIAL)
        (tmp_path / "größe.csv").write_text("x,y\n" + TWELVE * 3)
        (tmp_path / "semicolon.csv").write_text("x;y\n" + TWELVE.replace(",", ";") * 3)
        (tmp_path / "tab.tsv").write_text("x\ty\n" + TWELVE.replace(",", "\t") * 3)
        pd.DataFrame(np.arange(180).reshape(60, 3) % [7, 5, 2]).to_csv(tmp_path / "numbers.csv", index=False)
        (tmp_path / "answers.csv").write_text("x,y\n" + "".join(f"{i},{('false', 'true')[i % 2]}\n" for i in range(40)))
        (tmp_path / "income.csv").write_text("x,y\n" + "".join(f"{i},{('<=50K', '>50K')[i % 2]}\n" for i in range(40)))
        (tmp_path / "1e5").write_text(ODD)
        return tmp_path

    @pytest.mark.parametrize("words", [
        ["dataset.path=semicolon.csv", "dataset.target=y", "dataset.separator=;"],
        ["dataset.path=tab.tsv", "dataset.target=y", "dataset.separator=tab"],
        ["dataset.path=tab.tsv", "dataset.target=y", "dataset.separator=\\t"],
        ["dataset.path=tab.tsv", "dataset.target=y", 'dataset.separator="\\t"'],
        ["dataset.path=tab.tsv", "dataset.target=y", "dataset.separator=\t"],
        ["dataset.path=größe.csv", "dataset.target=y"],
        ["dataset.path=data (1).csv", "dataset.target=target (y/n)"],
        ["dataset.path=data (1).csv", "dataset.target=Class Label", "dataset.drop=[x (cm),a=b]"],
        ["dataset.path=data (1).csv", 'dataset.target="weight,kg"', "dataset.drop=größe"],
        ["dataset.path=data (1).csv", "dataset.target=Class Label", "dataset.drop=[null]"],
        ["dataset.path=numbers.csv", "dataset.target=2"],
        ["dataset.path=numbers.csv", "dataset.target=2", "dataset.drop=[0]"],
        ["dataset.path=numbers.csv", "dataset.target=2", "dataset.drop=0", "dataset.title=2024"],
        ["dataset.path=answers.csv", "dataset.target=y", "weighting=manual", "weighting.weights={false: 1, true: 5}"],
        ["dataset.path=answers.csv", "dataset.target=y", "cost={false: {true: 5}}", "dataset.positive=true"],
        ["dataset.path=income.csv", "dataset.target=y", "weighting=manual", "weighting.weights={>50K: 5, <=50K: 1}"],
        ["dataset.path=income.csv", "dataset.target=y", "cost={>50K: {<=50K: 5}}", "dataset.positive=>50K"],
        ["dataset.path=1e5", "dataset.target=[y]"],
        ["dataset.path=1e5", "dataset.target=1e5"],
        ["overrides=dataset.path='data (1).csv' dataset.target=Class Label seed=3"],
        ["overrides=dataset.path=data (1).csv dataset.target=Class Label", "overrides="],
    ])  # fmt: skip
    def test_they_are_accepted_and_quoted_for_hydra(self, words: list[str], folder: Path) -> None:
        words = ["dataset=csv", "model=linear", *words]
        found = plan(words)
        assert found is not None
        prepare_all(found)
        again = plan(words_for_hydra(words, found))
        assert again is not None
        assert again.jobs == found.jobs
        handed_over = words_for_hydra(words, found)
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            assert [override.input_line for override in overrides.parse(handed_over)] == handed_over

    def test_weights_by_answers_and_by_odd_names_are_those_of_their_classes(self, folder: Path) -> None:
        for path, weights in (("answers.csv", "{false: 1, true: 5}"), ("income.csv", "{>50K: 5, <=50K: 1}")):
            found = plan(
                [
                    "dataset=csv",
                    "model=linear",
                    f"dataset.path={path}",
                    "dataset.target=y",
                    "weighting=manual",
                    f"weighting.weights={weights}",
                ]
            )
            assert found is not None
            from equipoise.methods.weighting import class_weights

            data = prepare(found.jobs[0].dataset, folder / "cache")
            assert class_weights(found.jobs[0].weighting, data.counts, data.classes).weights.tolist() == [1, 5]

    def test_broken_grammar_keeps_hydras_own_message(self) -> None:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            for word in ("trainer.epochs=[1,2", "weighting=none,", "hydra.run.dir=a(b)c", "seed", "cost={a: {b: 5}"):
                assert readable([word]) == [word]

    def test_mlflow_hands_all_overrides_over_in_one_word(self) -> None:
        assert whole(["a=1", "overrides=b.c='x y=z' +d=2  ~e cost={a: {b: 5}}", "-m", "overrides="]) == [
            "a=1", "b.c='x y=z'", "+d=2", "~e", "cost={a: {b: 5}}", "-m",
        ]  # fmt: skip
        project = (REPOSITORY / "MLproject").read_text()
        assert project.count("overrides={overrides}") == 3
        assert whole(["overrides=--quiet seed=3"]) == whole(["overrides=seed=3 --quiet"])[::-1] == ["--quiet", "seed=3"]
        assert "$(echo" not in project


def test_lists_and_mappings_in_texts() -> None:
    assert list_in("[x (cm), \"a,b\", 'c', d=e]") == ["x (cm)", "a,b", "c", "d=e"]
    assert list_in("[]") == []
    assert list_in("a") is None
    assert mapping_in('{>50K: 5, "a: b": 1.5, c: {d: 2}}') == {">50K": 5.0, "a: b": 1.5, "c": {"d": 2.0}}
    assert mapping_in("{a}") is None
    assert mapping_in("{a: 1, a: 2}") is None


@pytest.mark.parametrize(("value", "said"), [
    ("{1: 1, 1.0: 2}", "weighting.weights names 1 twice, the second time as 1.0"),
    ("{1: 1, true: 2}", "weighting.weights names 1 twice, the second time as true"),
    ("{a: 1, a: 5}", "weighting.weights names a twice"),
    ("{a: 1, 'a': 5}", "weighting.weights names a twice"),
])  # fmt: skip
def test_a_name_that_is_typed_twice_is_told(value: str, said: str) -> None:
    assert said in complaint(["weighting=manual", f"weighting.weights={value}"])
    assert said.replace("weighting.weights", "cost") in complaint([f"cost={{b: {value}}}"])


def test_a_class_that_is_called_null_gets_its_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i % 9},{('null', 'yes')[i % 2]}\n" for i in range(60)))
    words = [
        "dataset=csv",
        f"dataset.path={tmp_path}/t.csv",
        "dataset.target=y",
        "dataset.missing_labels=[]",
        "model=linear",
        "weighting=manual",
    ]
    found = plan([*words, "weighting.weights={null: 1, yes: 5}"])
    assert found is not None
    assert found.jobs[0].weighting.weights == {"null": 1, "yes": 5}  # type: ignore[attr-defined]


def test_columns_of_a_table_are_named_by_numbers(tmp_path: Path) -> None:
    dataset = composed_dataset(
        "dataset=csv",
        f"dataset.path='{tmp_path}/t.csv'",
        "dataset.target=2",
        "dataset.drop=[0,true]",
        "dataset.group=1",
    )
    assert (dataset.target, dataset.drop, dataset.group) == ("2", ("0", "true"), "1")
