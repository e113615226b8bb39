"""The types that pandas gives the columns of a file, as `pandas.read_csv` and `read_parquet` guess them.

MLflow reads the rows for a served model with pandas, and refuses a column whose type differs from the model's
signature. So the signature states what pandas makes of the training file.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from equipoise.data.cells import cast_or_none

if TYPE_CHECKING:
    import pyarrow as pa

PandasType = Literal["boolean", "long", "double", "string", "datetime", "any"]  # any: datetimes with a time zone
# Texts that `read_csv` takes for a missing value (documentation of pandas 2.3).
MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
TRUTHS = ("True", "TRUE", "true", "False", "FALSE", "false")


class PandasTypes:
    """Find the types, a batch of rows at a time.

    Parameters
    ----------
    of_text : whether the file is a CSV, whose text may mean numbers
    """

    def __init__(self, *, of_text: bool) -> None:
        self._of_text = of_text
        self._found: dict[str, set[str]] = {}

    def add(self, columns: "Mapping[str, pa.Array]") -> None:
        """Add rows as they stand in the file."""
        for name, column in columns.items():
            found = self._found.setdefault(name, set())
            if "string" not in found:
                found |= _kinds(column, of_text=self._of_text, whole="double" not in found)

    def of(self, name: str) -> PandasType:
        """Return a column's type. Whole numbers with a missing one are double: pandas has no missing integer."""
        found = self._found[name]
        values = found - {"missing"}
        if values == {"boolean"}:
            return "boolean"
        if found == {"long"}:
            return "long"
        if values in ({"datetime"}, {"any"}):
            return "datetime" if values == {"datetime"} else "any"
        return "double" if values <= {"long", "double"} else "string"


def _kinds(column: "pa.Array", *, of_text: bool, whole: bool) -> set[str]:
    """Return the kinds of the values; with `whole=False`, whole numbers as text may count as double."""
    import pyarrow as pa

    missing = {"missing"} if column.null_count else set()
    if column.null_count == len(column):
        return missing
    if pa.types.is_boolean(column.type):
        return missing | {"boolean"}
    if pa.types.is_integer(column.type):
        return missing | {"long"}
    if pa.types.is_floating(column.type):
        return missing | {"double"}
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return missing | {"any" if getattr(column.type, "tz", None) else "datetime"}
    return missing | _meant(column, whole=whole) if of_text and pa.types.is_string(column.type) else {"string"}


def _meant(column: "pa.StringArray", *, whole: bool) -> set[str]:
    import pyarrow as pa
    import pyarrow.compute as compute

    trimmed = compute.utf8_trim_whitespace(column)  # which is no matter to numbers, and to nothing else
    for kind, arrow in (*([("long", pa.int64())] if whole else []), ("double", pa.float64())):
        if cast_or_none(trimmed, arrow) is not None:
            return {kind}
    absent = compute.is_in(column, pa.array(MISSING))
    if compute.any(absent).as_py():
        return {"missing", *_kinds(column.filter(compute.invert(absent)).drop_null(), of_text=True, whole=whole)}
    is_truth = compute.all(compute.is_in(column.drop_null(), pa.array(TRUTHS))).as_py()
    return {"boolean" if is_truth else "string"}
