"""Read labels as people write them: which texts are one class, which mean no label, and the order of the classes.

Every kind of data reads its labels here, so that one rule holds for tables, arrays, series, folders and the file that
a model is judged on later. Pure Python and NumPy; this module knows nothing of files or features.

The rule: white space around a label is no part of it; where every label is a number, equal values are one class
(`1`, `1.0`, `01`); otherwise labels are text. Classes are in the order of their values if all are numbers, else in
alphabetical order.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError, counted, listing, suggestion
from equipoise.core.schema import FALSE, TRUE, Integers, named
from equipoise.core.typed import number_in
from equipoise.data.cells import USUAL
from equipoise.data.dates import is_date

# Fractions are classes where few values with few decimals repeat, as half stars do; else they are quantities.
MOST_FRACTIONS = 20
MOST_DECIMALS = 2
LEAST_REPEATED = 5  # times, on average
EXACT = 2**53  # from here on floating-point numbers skip whole ones
MOST_TOLD = 3  # groups of spellings in one note

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Spelled:
    """A column of labels as it was found.

    Attributes
    ----------
    texts : each distinct text; None where there is no value
    codes : int64 (n,), the place of each sample's text in `texts`
    """

    texts: tuple[str | None, ...]
    codes: Integers

    @property
    def counts(self) -> Integers:
        """The number of samples of each text, int64 (texts,)."""
        return np.bincount(self.codes, minlength=len(self.texts))


@dataclass(frozen=True)
class Labels:
    """A column of labels as it is understood.

    Attributes
    ----------
    classes : their names, in order
    indices : int64 (n,), the class of each sample
    notes : what a reader must know of them
    """

    classes: tuple[str, ...]
    indices: Integers
    notes: tuple[str, ...] = ()


def as_text(value: Any) -> str | None:
    """Return a value of any type as the text of a label, such as `true`, or `1` for 1.0; None for None and NaN."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float | np.floating):
        # A float32 gets no more digits than it has.
        return np.format_float_positional(value, trim="-") if abs(float(value)) < EXACT else str(value)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if abs(value) < EXACT else str(value)
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def understood(found: Spelled, where: str, missing: Iterable[str], least: int = 2) -> Labels:
    """Find the classes in texts.

    Parameters
    ----------
    where : as messages call the column
    missing : texts that mean "no label", as `dataset.missing_labels` says
    least : classes that there must be

    Raises
    ------
    ConfigError
        If a sample has no label, there are fewer classes, or the labels are a quantity and no classes.
    """
    texts = _trimmed(found, where, missing)
    numbers = [number_in(text) for text in texts]
    all_numbers = None not in numbers
    if all_numbers:
        _refuse_quantities(texts, found, where)
    else:
        _refuse_dates(texts, found, where)
    spellings: dict[Hashable, list[int]] = defaultdict(list)
    for place, (text, number) in enumerate(zip(texts, numbers, strict=True)):
        spellings[number if all_numbers else text].append(place)
    names = {
        key: min((texts[place] for place in places), key=lambda text: (len(text), text))
        for key, places in spellings.items()
    }
    if len(names) < least:
        raise ConfigError(
            f"{where} has one value only ({listing(list(names.values())) or 'none at all'}): there is nothing to learn"
        )
    classes = in_order(names.values())
    place_of = {name: place for place, name in enumerate(classes)}
    index = np.empty(len(texts), np.int64)
    for key, places in spellings.items():
        index[places] = place_of[names[key]]
    indices = index[found.codes]
    counts = np.bincount(indices)
    notes = [*_of_one_class(found, spellings, names, where), *_nearly_one(classes, counts, where)]
    if "" in missing:  # no list of the user's own
        notes += _maybe_missing(classes, counts, where)
    notes += [] if all_numbers else _numbers_and_text(texts, numbers, where)
    return Labels(classes, indices, tuple(notes))


def of_known(found: Spelled, classes: Sequence[str], where: str, missing: Iterable[str]) -> Integers:
    """Return class indices, int64 (n,), of classes that were learned from other samples.

    Raises
    ------
    ConfigError
        If a sample has no label, or one that is none of the classes.
    """
    texts = _trimmed(found, where, missing)
    place: dict[str | None, int] = {name: index for index, name in enumerate(classes)}
    names = [text if text in place else named(text, classes) for text in texts]
    odd = [text for text, name in zip(texts, names, strict=True) if name is None]
    if odd:
        near = suggestion(odd[0], classes)
        hint = near if "did you mean" in near else ""
        raise ConfigError(
            f"{where} holds {listing(odd, 3)}, which the model does not know; it knows {listing(classes)}{hint}"
        )
    index = np.array([place[name] for name in names], dtype=np.int64)
    return index[found.codes]


def answers(found: Spelled, where: str) -> Integers:
    """Read whether each sample has a label, int64 (n,) of 0 and 1, from 1.0, TRUE, yes, y, t, on and the like.

    Raises
    ------
    ConfigError
        If a sample has no answer, or one that is neither yes nor no.
    """
    texts = _trimmed(found, where, ())
    known = [_answer(text) for text in texts]
    odd = [text for text, answer in zip(texts, known, strict=True) if answer is None]
    if odd:
        raise ConfigError(
            f"{where} holds {listing(odd, 3)} beside 0 and 1: "
            "it must say yes or no, as 1/0, true/false, yes/no, y/n, t/f or on/off"
        )
    return np.array(known, dtype=np.int64)[found.codes]


def in_array(values: Array, where: str, missing: Iterable[str], least: int = 2) -> Labels:
    """Find the classes in an array of labels.

    Parameters
    ----------
    values : numbers, booleans or text of shape (n,) or (n, 1); or one-hot rows (n, classes), each column a class

    Raises
    ------
    ConfigError
        As `understood`, and if the array has another shape or type.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        return _of_rows(values, where, least)
    return understood(spelled(values, where), where, missing, least)


def spelled(values: Array, where: str) -> Spelled:
    """Return the distinct texts of an array of shape (n,).

    Raises
    ------
    ConfigError
        If its type is none of numbers, booleans and text, or its text is no Unicode.
    """
    if values.dtype.kind not in "fiubUS" or values.ndim != 1:
        raise ConfigError(f"{where} has the type {values.dtype}: labels are whole numbers or text, one a sample")
    if values.dtype.kind in "US":
        values = _decoded(values, where)
    distinct, codes = np.unique(values, return_inverse=True)
    return Spelled(tuple(as_text(value) for value in distinct), codes.astype(np.int64))


def with_names(labels: Labels, names: Mapping[str, str], option: str) -> Labels:
    """Return the labels under the names that a mapping has for them, in the same order.

    Codes of one name are one class, at the place of the first of them, with a note.

    Parameters
    ----------
    labels : of one class a sample, or of several, whose indices stay as they are
    names : from a code to its name; codes that do not occur do no harm
    option : as typed

    Raises
    ------
    ConfigError
        If a class has no name, one has two, or two labels of several have one.
    """
    name_of: dict[str, str] = {}
    for code, name in names.items():
        known = named(code, labels.classes)
        if known is not None and name_of.setdefault(known, name) != name:
            raise ConfigError(f"{option} names the class '{known}' twice: {name_of[known]} and {name}")
    lacking = [code for code in labels.classes if code not in name_of]
    if lacking:
        raise ConfigError(
            f"{option} has no name for the class {listing(lacking)}, which the data have; "
            f"it names {listing(list(names), 5)}"
        )
    codes: dict[str, list[str]] = defaultdict(list)
    for code in labels.classes:
        codes[name_of[code]].append(code)
    both = [f"{' and '.join(several)} are both '{name}'" for name, several in codes.items() if len(several) > 1]
    if both and (labels.indices.ndim == 2 or len(codes) < 2):
        raise ConfigError(f"{option}: {listing(both, MOST_TOLD)}; give each a name of its own")
    place = {name: number for number, name in enumerate(codes)}
    indices = labels.indices
    if indices.ndim == 1:
        indices = np.array([place[name_of[code]] for code in labels.classes], np.int64)[indices]
    notes = [f"{option}: {listing(both, MOST_TOLD)}: each of these is one class"] if both else []
    return Labels(tuple(codes), indices, (*labels.notes, *notes))


def as_named(found: Spelled, names: Mapping[str, str]) -> Spelled:
    """Return the column with a name in place of each code that the mapping knows."""
    codes = list(names)
    known = [None if text is None else named(text.strip(), codes) for text in found.texts]
    texts = [text if code is None else names[code] for text, code in zip(found.texts, known, strict=True)]
    return Spelled(tuple(texts), found.codes)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort class names: by value if all are numbers, else by alphabet."""
    found = list(names)
    if all(number_in(name) is not None for name in found):
        return tuple(sorted(found, key=lambda name: (number_in(name), name)))
    return tuple(sorted(found))


def alike(names: Iterable[str]) -> list[list[str]]:
    """Group names that a reader would take for one: they differ in case, in how a number is written, or invisibly."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[_at_a_glance(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def shown(text: str) -> str:
    """Return the text in quotes, with the codes of what is not ASCII."""
    return repr(text) if repr(text) == ascii(text) else f"{text!r} = {text!a}"


def _trimmed(found: Spelled, where: str, missing: Iterable[str]) -> list[str]:
    """Return the texts without white space around them; refuse missing labels."""
    none = set(missing)
    texts = [unicodedata.normalize("NFC", (text or "").strip()) for text in found.texts]
    left = [place for place, text in enumerate(texts) if not text or text in none]
    if left:
        counts = found.counts
        count = int(counts[left].sum())
        them, reading = ("it", "it reads") if count == 1 else ("them", "they read")
        read = [f"{shown(texts[place])} ({counts[place]})" for place in left if texts[place]]
        cure = f"remove {them} first"
        if read:
            cure = f"{reading} {listing(read, MOST_TOLD)}; {cure}, or, if these are classes: dataset.missing_labels=[]"
        raise ConfigError(f"{counted(count, f'row of {where} has', f'rows of {where} have')} no label: {cure}")
    return texts


def _refuse_quantities(texts: Sequence[str], found: Spelled, where: str) -> None:
    """Refuse numbers that are quantities, and no classes."""
    odd = [text for text in texts if not _is_whole(text)]
    if not odd:
        return
    numbers = [Decimal(text) for text in texts]
    is_rating = (
        len(set(numbers)) <= MOST_FRACTIONS
        and len(found.codes) >= LEAST_REPEATED * len(set(numbers))
        and all(
            abs(number) < EXACT and int(number.normalize().as_tuple().exponent) >= -MOST_DECIMALS for number in numbers
        )
    )
    if not is_rating:
        raise ConfigError(
            f"{where} holds numbers such as {odd[0]}, not classes: divide them into ranges first (pandas.cut). "
            f"Fractions are classes where at most {MOST_FRACTIONS} values of at most {MOST_DECIMALS} decimals "
            f"occur {LEAST_REPEATED} times each on average"
        )


def _refuse_dates(texts: Sequence[str], found: Spelled, where: str) -> None:
    """Refuse dates that are moments, and no classes: where few occur twice, and the first and the last one are some."""
    are_few = len(texts) <= MOST_FRACTIONS or len(found.codes) >= LEAST_REPEATED * len(texts)
    if not are_few and is_date(texts[0]) and is_date(texts[-1]):
        raise ConfigError(
            f"{where} holds {len(texts)} dates such as {texts[0]}, not classes: type the column of the classes as "
            "dataset.target, or divide the dates into a few periods first"
        )


def _is_whole(text: str) -> bool:
    if text.lstrip("+-").isdigit():
        return True
    number = float(text)
    return number.is_integer() and abs(number) < EXACT


def _of_one_class(
    found: Spelled, spellings: Mapping[Hashable, list[int]], names: Mapping[Hashable, str], where: str
) -> list[str]:
    """Tell which spellings are one class."""
    counts, told = found.counts, []
    for key, places in spellings.items():
        if len(places) > 1:
            both = " and ".join(f"{shown(str(found.texts[place]))} ({counts[place]})" for place in places)
            told.append(f"{both} are the class {shown(names[key])}")
    return [f"{where}: {_some(told)}"] if told else []


def _nearly_one(classes: Sequence[str], counts: Integers, where: str) -> list[str]:
    """Tell which classes may be one."""
    count = dict(zip(classes, counts, strict=True))
    told = [" and ".join(f"{shown(name)} ({count[name]})" for name in group) for group in alike(classes)]
    cure = "are different classes, and nearly the same text: where they mean one thing, write them alike in the file"
    return [f"{where}: {_some(told)} {cure}"] if told else []


def _maybe_missing(classes: Sequence[str], counts: Integers, where: str) -> list[str]:
    """Tell of classes whose name is a usual mark of a missing value."""
    unsure = [f"{shown(name)} ({count})" for name, count in zip(classes, counts, strict=True) if name.lower() in USUAL]
    if not unsure:
        return []
    return [f"{where}: {listing(unsure)} is read as a class: where it means that there is no label, remove these rows"]


def _numbers_and_text(texts: Sequence[str], numbers: Sequence[Decimal | None], where: str) -> list[str]:
    """Tell of labels some of which are numbers, with an example of each kind."""
    number, text = (
        next((text for text, number in zip(texts, numbers, strict=True) if (number is None) is kind), None)
        for kind in (False, True)
    )
    if number is None:
        return []
    return [f"{where} holds numbers ({number}) and text ({text}): all of them are read as text"]


def _some(told: Sequence[str]) -> str:
    return "; ".join(told[:MOST_TOLD]) + (
        f"; and {len(told) - MOST_TOLD} more such groups" if len(told) > MOST_TOLD else ""
    )


def _at_a_glance(name: str) -> str:
    """Return a name without case, white space, invisible characters, and the ways to write a number."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(char for char in text if unicodedata.category(char) != "Cf" and not char.isspace())
    number = number_in(text)
    return text if number is None else f"number {number.normalize()}"


def _answer(text: str) -> int | None:
    number, word = number_in(text), text.casefold()
    if number is not None:
        return int(number) if number in (0, 1) else None
    return 1 if word in TRUE else 0 if word in FALSE else None


def _of_rows(values: Array, where: str, least: int) -> Labels:
    """Find the classes in one-hot rows, (n, classes)."""
    what = f"{where} has the shape {values.shape}; needed is one label a sample, (n,), or one-hot rows"
    if values.dtype.kind not in "fiub":
        raise ConfigError(what)
    if not (((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all()):
        raise ConfigError(
            f"{what}, each with a single 1; for several labels a sample there is dataset=multilabel, which reads tables"
        )
    used, indices = np.unique(values.argmax(axis=1), return_inverse=True)
    if len(used) < least:
        raise ConfigError(
            f"{where} has a 1 in one column only ({listing([str(column) for column in used])}): "
            "there is nothing to learn"
        )
    empty = sorted({*range(values.shape[1])} - set(used.tolist()))
    notes = [f"{where} holds one-hot rows: the classes are named by their columns, from 0"]
    notes += (
        [f"{where}: no sample has a 1 in column {listing([str(column) for column in empty])}, which is left out"]
        if empty
        else []
    )
    return Labels(tuple(str(column) for column in used), indices.astype(np.int64), tuple(notes))


def _decoded(values: Array, where: str) -> Array:
    """Return the array if its text is Unicode, decoded if it is bytes: NumPy takes any 32 bits for a character."""
    try:
        if values.dtype.kind == "S":
            return np.char.decode(values, "utf-8")
        codes = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("=")).view(np.uint32)
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise UnicodeError
    except UnicodeError:
        raise ConfigError(f"{where} holds text that is no Unicode") from None
    return values
