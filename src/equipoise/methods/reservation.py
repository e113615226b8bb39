"""As far as what validation rows show holds for new rows: whether they have chosen anything before. In words."""

from collections.abc import Sequence


def reservation(used: Sequence[str]) -> str:
    """Return the end of a sentence on what holds for new rows.

    Parameters
    ----------
    used : what the validation rows have chosen before, such as `fitted the calibration`
    """
    if used:
        return f"but about, and not exactly: these rows have {' and '.join(used)}, too"
    return "if these rows chose nothing else, such as an epoch to stop at"
