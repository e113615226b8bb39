"""Write pipelines/study/code/: digests of the code behind the runs and of the code behind the report.

The study is a DVC project of its own, and in folders outside of it DVC would see the __pycache__, too. So its stages
depend on these digests: PYTHONPATH=pipelines python pipelines/study/digests.py
"""

import hashlib
from pathlib import Path

from dependencies import COLORS, PRINTING, ROOT, imported

HERE = Path(__file__).parent
# No page and no colour changes what a run finds.
DRAWING = (COLORS, "equipoise.reports", "equipoise.comparison")


def digest(programs: list[str], not_counting: tuple[str, ...]) -> str:
    """Return the SHA-256 of the programs and of all of the project that they import."""
    whole = hashlib.sha256()
    for file in sorted(imported(programs, not_counting)):
        content = file.read_bytes()
        whole.update(f"{file.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return whole.hexdigest()


def main() -> None:
    folder = HERE / "code"
    folder.mkdir(exist_ok=True)
    runs = digest(["src/train.py", "pipelines/study/run.py"], (*PRINTING, *DRAWING))
    report = digest(["src/compare.py", "pipelines/study/report.py"], PRINTING)
    (folder / "runs.txt").write_text(runs + "\n")
    (folder / "report.txt").write_text(report + "\n")


if __name__ == "__main__":
    main()
