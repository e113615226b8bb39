"""Files that say something of each class: text as it stands there, each class once."""

from pathlib import Path

import pytest

from equipoise.core.class_files import pairs_in
from equipoise.core.errors import ConfigError
from helpers import composed

NAMES = {"no": "a cat", "01": "dög", "1e5": "true"}
FORMS = {
    "names.csv": 'code,name\nno,a cat\n01,dög\n\n"1e5",true\n',
    "names.txt": "\ufeffcode;name\r\nno;a cat\r\n01;dög\r\n1e5;true\r\n",
    "names.yaml": "no: a cat\n01: dög\n1e5: true\n",
    "names.json": '{"no": "a cat", "01": "d\\u00f6g", "1e5": "true"}',
}


@pytest.mark.parametrize("name", FORMS)
def test_a_file_holds_text_as_it_stands_there(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FORMS[name], encoding="utf-8")
    assert pairs_in(str(tmp_path / name)) == NAMES


def test_a_first_row_with_a_number_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("a cat,1\ndog,2.5\n")
    assert pairs_in(str(tmp_path / "w.csv")) == {"a cat": "1", "dog": "2.5"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "code,name\n1,x\n1,y\n", "names '1' twice"),
        ("a.yaml", "1: x\n1: y\n", "names '1' twice"),
        ("a.json", '{"1": "x", "1": "y"}', "names '1' twice"),
        ("a.csv", "code,name\n1,x,z\n", "has 3 cells; it must have two"),
        ("a.yaml", "1: [x]\n", "no single value for '1'"),
        ("a.json", '{"1": null}', "no single value for '1'"),
        ("a.yaml", "- x\n", "no YAML mapping"),
        ("a.json", "[1]", "no JSON object"),
        ("a.json", "{", "is no JSON"),
        ("a.yaml", "{", "is no YAML"),
        ("a.csv", "", "names no class"),
        ("a.csv", "code,name\n", "names no class"),
    ],
)
def test_a_file_that_says_something_else_is_refused(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        pairs_in(str(tmp_path / name))


def test_weights_of_a_file_are_those_that_one_could_have_typed(tmp_path: Path) -> None:
    (tmp_path / "my weights.csv").write_text("class,weight\n0,1\n1,2.5\n2,6e1\n")
    words = ["dataset=synthetic", "dataset.class_counts=[9,6,3]", "model=linear", "weighting=manual"]
    named = composed(*words, f"weighting.weights='{tmp_path}/my weights.csv'")
    assert named == composed(*words, "weighting.weights={0: 1, 1: 2.5, 2: 60}")
    for header in ("class;weight\n", ""):  # with a decimal comma
        (tmp_path / "my weights.csv").write_text(f"{header}0;1,0\n1;2,5\n2;60\n")
        assert named == composed(*words, f"weighting.weights='{tmp_path}/my weights.csv'")
    (tmp_path / "my weights.csv").write_text("class;weight\n0;1,500\n1;2,5\n2;60\n")
    with pytest.raises(ConfigError, match=r"the file has 1,500 for '0': write 1\.500, or 1500 without a mark"):
        composed(*words, f"weighting.weights='{tmp_path}/my weights.csv'")
    (tmp_path / "my weights.csv").write_text("class,weight\n0,1\n1,much\n")
    with pytest.raises(ConfigError, match=r"weighting\.weights=.*my weights.csv: the file has no number for '1', but"):
        composed(*words, f"weighting.weights='{tmp_path}/my weights.csv'")
    with pytest.raises(ConfigError, match=r"weighting\.weights=.*: this is a folder, and no file; give a CSV of two"):
        composed("weighting=manual", f"weighting.weights='{tmp_path}'")
    with pytest.raises(ConfigError, match=r"weighting\.weights=nowhere\.csv: there is no such file; give a CSV of two"):
        composed(*words, "weighting.weights=nowhere.csv")
