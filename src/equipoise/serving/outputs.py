"""The file that predictions are written to: whole, or not at all. Without TensorFlow."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise.core.errors import ConfigError
from equipoise.data.paths import files_of, is_folder, is_pattern

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = (".csv", ".parquet")


def checked_output(output: str, source: str) -> Path:
    """Return the file to write.

    Raises
    ------
    ConfigError
        If it cannot be written, is of another format, is what is read, or lies in the folder that is read.
    """
    file = Path(output).expanduser()
    if file.suffix.lower() not in FORMATS:
        raise ConfigError(f"output={output}: the name must end in {' or '.join(FORMATS)}")
    if not file.parent.is_dir():
        raise ConfigError(f"output={output}: there is no folder {file.parent}")
    if file.is_dir():
        raise ConfigError(f"output={output} is a folder, not a file")
    _check_is_not_read(file, output, source)
    if not os.access(file.parent, os.W_OK):
        raise ConfigError(f"output={output}: the folder {file.parent} may not be written to")
    return file


def _check_is_not_read(file: Path, output: str, source: str) -> None:
    place = Path(source).expanduser().resolve()
    if is_folder(source) and place in file.resolve().parents:
        raise ConfigError(f"output={output} lies in the input folder, whose files are read: name a file elsewhere")
    if is_folder(source):  # its files may be links
        files = list(place.iterdir())
    else:
        files = files_of(source, "input")[0] if is_pattern(source) else [place]
    if file.exists() and any(other.exists() and other.samefile(file) for other in files):
        raise ConfigError(f"output={output} is the input, which would be lost: name another file")


@contextlib.contextmanager
def written(file: Path) -> "Iterator[Callable[[pa.Table], None]]":
    """Yield a function that adds rows; the file appears, or is replaced, when all are there."""
    import pyarrow.csv as arrow
    import pyarrow.parquet as parquet

    aside = file.with_name(f".{file.name}.{os.getpid()}.part")
    writer: Any = None

    def write(table: "pa.Table") -> None:
        nonlocal writer
        if writer is None:
            make = arrow.CSVWriter if file.suffix.lower() == ".csv" else parquet.ParquetWriter
            writer = make(str(aside), table.schema)
        writer.write_table(table)

    try:
        yield write
        if writer is not None:
            writer.close()
            os.replace(aside, file)
    except OSError as error:
        raise ConfigError(f"output={file} cannot be written: {error.strerror or error}") from None
    finally:
        if writer is not None:
            with contextlib.suppress(OSError):
                writer.close()
        aside.unlink(missing_ok=True)
