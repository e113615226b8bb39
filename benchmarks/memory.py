"""Peak anonymous memory and time a sample of one run while its data grow ten times: flat, if nothing is held whole.

    python benchmarks/memory.py [ROWS]

The peak is of RssAnon, sampled ten times a second: pages of mapped files are the operating system's to take back.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[1]
FEATURES = 1000
EPOCHS = 2


def write_npz(file: Path, rows: int) -> None:
    """Two classes of noise, written block by block, so that this process stays small as well."""
    generator = np.random.default_rng(0)
    labels = (np.arange(rows) % 10 == 0).astype(np.int64)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (rows, FEATURES)})
            for start in range(0, rows, 5000):
                block = generator.standard_normal((min(5000, rows - start), FEATURES), dtype=np.float32)
                stream.write((block + labels[start : start + len(block), np.newaxis].astype(np.float32)).tobytes())
        with archive.open("y.npy", "w") as stream:
            np.lib.format.write_array(stream, labels)


def peak_and_seconds(command: list[str]) -> tuple[float, float]:
    """Peak RssAnon in MiB and wall time of a command that must succeed."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                peak = max(peak, int(line.split()[1]))
        time.sleep(0.1)
    assert process.returncode == 0
    return peak / 1024, time.perf_counter() - start


def main() -> None:
    """Print one line for preparing and one for training, at each size."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 75_000
    with tempfile.TemporaryDirectory() as folder:
        for part in ("src", "conf"):
            shutil.copytree(REPOSITORY / part, Path(folder) / part)
        for count in (rows, 10 * rows):
            file = Path(folder) / f"{count}.npz"
            write_npz(file, count)
            options = ["dataset=npz", f"dataset.path='{file}'", "model=linear", f"trainer.epochs={EPOCHS}", "trainer.batch_size=512"]
            run = [sys.executable, f"{folder}/src/train.py", *options]
            first, both = peak_and_seconds(run)
            again, trained = peak_and_seconds(run)
            size = file.stat().st_size >> 20
            print(f"{count:>9,} rows, {size:>6,} MiB: peak {first:.0f} MiB prepared and trained ({both:.0f} s), ", end="")
            print(f"{again:.0f} MiB trained again ({trained:.0f} s, {1e6 * trained / count / EPOCHS:.0f} us a sample)", flush=True)
            file.unlink()
            shutil.rmtree(Path(folder) / "cache")


if __name__ == "__main__":
    main()
