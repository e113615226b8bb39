"""The example's notebook, executed as a user executes it; and that it is kept without outputs."""

from pathlib import Path

import pytest

from equipoise.core.paths import ROOT
from helpers import REPOSITORY
from processes import LIMIT

NOTEBOOK = REPOSITORY / "examples" / "library.ipynb"


def test_it_is_kept_without_outputs() -> None:
    import nbformat

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert max(map(len, cell.source.splitlines())) <= 120


@pytest.mark.slow
def test_it_runs_and_shows_tables_and_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv(ROOT, str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=LIMIT, kernel_name="python3", resources=place).execute()
    shown = [
        "\n".join("".join(output.get("data", {}).get(kind, "")) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for kind in ("text/html", "text/plain")
    ]
    page, text = "\n".join(shown[::2]), "\n".join(shown[1::2])
    for title in (
        "effective_number weights of 10 classes",
        "gradient_share",
        "By decision rule",
        "Units are 5 folds",
        "logit_adjusted",
        "4 of 4 jobs are finished",
    ):
        assert title in page, title
    assert "━━━━━━━━━━━━━━━━ 20/20 epochs  loss" in text
    assert (tmp_path / "mlflow.db").exists()
