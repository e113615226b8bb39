"""Measure time and peak memory to prepare a CSV of texts (dataset=text): read, learn a vocabulary, and write ids.

    python benchmarks/texts.py [ROWS …]

Texts have 50 to 250 words, 150 on average, whose frequencies follow Zipf's law, of a million different words. Each size
is prepared in a process of its own. Memory is the peak of RssAnon, sampled twenty times a second.
"""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parents[1] / "tests")]

SIZES = (10_000, 100_000, 400_000)
DIFFERENT, EXPONENT, FEWEST, MOST = 1_000_000, 1.05, 50, 250


def main() -> None:
    """Print a line for each size."""
    if sys.argv[1:2] == ["prepare"]:
        print(prepared(Path(sys.argv[2]), sys.argv[3:]))
        return
    with tempfile.TemporaryDirectory() as folder:
        for rows in map(int, sys.argv[1:]) if sys.argv[1:] else SIZES:
            table = Path(folder, f"{rows}.csv")
            write(table, rows)
            for tokens in ("vocabulary", "hashing"):
                seconds, peak = watched("prepare", str(table), f"dataset.tokens={tokens}")
                size = table.stat().st_size / 2**20
                print(f"{rows:>9,} texts, {size:,.0f} MiB, {tokens}: {seconds}, peak {peak:,.0f} MiB", flush=True)


def watched(*words: str) -> tuple[str, float]:
    """Return what this program says when it is called with these words, and the peak of its RssAnon in MiB."""
    peak = 0
    with subprocess.Popen([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    peak = max(peak, int(line.split()[1]))
            time.sleep(0.05)
        said = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return said.strip(), peak / 1024


def write(table: Path, rows: int) -> None:
    """Write a CSV with texts and two classes, one in ten."""
    draw = np.random.default_rng(0)
    words = np.array(
        [
            f"{7919 * number + 4096:x}".translate(str.maketrans("0123456789", "ghijklmnop"))
            for number in range(DIFFERENT)
        ]
    )
    chances = np.cumsum(np.arange(1, DIFFERENT + 1) ** -EXPONENT)
    with open(table, "w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(["body", "kind"])
        for _ in range(rows):
            found = words[np.searchsorted(chances, draw.random(draw.integers(FEWEST, MOST + 1)) * chances[-1])]
            out.writerow([" ".join(found.tolist()).capitalize() + ".", "rare" if draw.random() < 0.1 else "often"])


def prepared(table: Path, more: list[str]) -> str:
    """Prepare the table; return the seconds, and those of the processor."""
    from equipoise.data.prepare import prepare
    from helpers import composed_dataset

    options = ["dataset=text", f"dataset.path='{table}'", "dataset.text=body", "dataset.target=kind", *more]
    dataset = composed_dataset(*options)
    start, busy = time.perf_counter(), time.process_time()
    prepare(dataset, table.parent / "cache")
    return f"{time.perf_counter() - start:.1f} s ({time.process_time() - busy:.1f} s of a processor)"


if __name__ == "__main__":
    main()
