"""What every section of the config shares: its base class, its types, and how a registry becomes its schema.

An option of a group is a plain function. Its positional parameters are what the pipeline hands it; its
keyword-only parameters are the keys of its YAML, and their annotations are the checks. So a new option
needs no schema of its own. Defaults live in the YAML alone.

Keys that travel together, or that several functions share, may be fields of a `Section`: a keyword-only parameter that
is annotated with it takes all of them as one value, and in the YAML each of them is a key like any other.

Knows nothing of any particular group.
"""

import functools
import inspect
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, get_origin, get_type_hints

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    create_model,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from equipoise.core.class_files import pairs_in
from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.typed import list_in, mapping_in, number_in, text_of

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]
Booleans: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Integers: TypeAlias = np.ndarray[Any, np.dtype[np.integer[Any]]]


NONE = "none"  # what an option is called that does nothing
BEST: Final = "best"  # of trainer.judge_after: the epoch that is best by trainer.monitor
FLOAT32 = 3.4e38  # no number that a loss is to multiply by may be larger
# What says yes and no, as files and YAML write it, without case.
TRUE = ("true", "yes", "y", "t", "on")
FALSE = ("false", "no", "n", "f", "off")
WORDS = ("auto", "none")  # which options take in place of numbers by class; no file


class Section(BaseModel):
    """A frozen part of the config, in which unknown keys, wrong types, NaN and infinity are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def names_as_text(value: Any) -> Any:
    """Return a mapping with its keys as text, which YAML may have read as numbers; anything else as it is.

    The mapping may have been typed as a text.
    """
    value = mapping_in(value) or value if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        return value
    as_text = {str(name): item for name, item in value.items()}
    if len(as_text) < len(value):
        raise ValueError("a class is named twice")
    return as_text


def single_values(value: Any) -> Any:
    """Return a mapping as `names_as_text` does, each of whose values is one number or word."""
    found = names_as_text(value)
    several = (
        [key for key, item in found.items() if isinstance(item, Mapping | list)] if isinstance(found, Mapping) else []
    )
    if several:
        raise ValueError(f"{several[0]} takes one number or one word, and no list or mapping")
    return found


def numbers_by_class(value: Any) -> Any:
    """Return a mapping as `names_as_text` does; the path of a file stands for the numbers in it.

    The file is read at once, so that a run logs, and is known by, the numbers and not their file.
    """
    if not isinstance(value, str) or mapping_in(value) is not None or value in WORDS:
        return names_as_text(value)
    found = {name: _with_point(text, name) for name, text in pairs_in(value).items()}
    odd = [name for name, text in found.items() if number_in(text) is None]
    if odd:
        raise ValueError(f"the file has no number for {odd[0]!r}, but {found[odd[0]]!r}")
    return {name: float(text) for name, text in found.items()}


def _with_point(text: str, name: str) -> str:
    """Return a number of a file, which may have a decimal comma, with a point.

    Raises
    ------
    ValueError
        If the comma may stand between thousands as well.
    """
    if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text, re.ASCII):
        plain = text.replace(",", "")
        raise ValueError(f"the file has {text} for {name!r}: write {text.replace(',', '.')}, or {plain} without a mark")
    return text.replace(",", ".") if re.fullmatch(r"[+-]?\d+,\d+", text, re.ASCII) else text


def read_class_names(value: Any) -> Any:
    """Return a mapping from codes to names, both as text; the path of a file stands for the mapping in it."""
    if isinstance(value, str) and mapping_in(value) is None:
        return pairs_in(value)
    found = names_as_text(value)
    return {code: text_of(name) for code, name in found.items()} if isinstance(found, Mapping) else found


class _ByClassName:
    """Read as `{cat: 1, dog: 5}`, or from a file; `{1: 2.5}` means the class called "1"."""

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = Annotated[float, Field(ge=0, le=FLOAT32)]
        return handler.generate_schema(Annotated[dict[str, number], BeforeValidator(numbers_by_class)])


class Some(dict[str, float]):
    """Numbers of some classes, by their names."""


class _OfSomeClasses:
    """Read as `_ByClassName` reads it; not every class needs one."""

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = Annotated[float, Field(ge=0, le=FLOAT32)]
        kind = Annotated[dict[str, number], BeforeValidator(numbers_by_class), AfterValidator(Some)]
        return handler.generate_schema(kind)


# One number per class: a mapping by class name in the config, an array in class order in the function.
PerClass: TypeAlias = Annotated[Floats, _ByClassName()]
# The same of some classes: NaN in the function for the others.
SomeClasses: TypeAlias = Annotated[Floats, _OfSomeClasses()]
# YAML has lists only; their items stay strict.
Counts: TypeAlias = Annotated[tuple[Annotated[int, Field(ge=1, lt=2**31)], ...], Field(strict=False, min_length=1)]


def _name(value: Any) -> Any:
    return value if value is None else text_of(value)


def _names(value: Any) -> Any:
    """Return names as a tuple; one name stands for a list of one, and a list may be typed as a text."""
    found = list_in(value) if isinstance(value, str) else None
    value = value if found is None else found
    return tuple(map(text_of, value if isinstance(value, list | tuple) else [value])) if value is not None else value


def _separator(text: Any) -> Any:
    mark = {"tab": "\t", "\\t": "\t"}.get(text, text) if isinstance(text, str) else text_of(text)
    if isinstance(mark, str) and len(mark) != 1:
        raise ValueError("must be one character, such as ';', or tab")
    return mark


# Names of columns, files and classes may look like numbers.
Name: TypeAlias = Annotated[str, BeforeValidator(_name)]
Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_names), Field(strict=False)]
Separator: TypeAlias = Annotated[str, BeforeValidator(_separator)]
ClassNames: TypeAlias = Annotated[dict[str, str], BeforeValidator(read_class_names)]


def _word(text: str) -> str:
    if not re.fullmatch(r"\w[\w.-]{0,63}", text):
        raise ValueError("must be a word of letters, digits, '.', '_' and '-', 64 at most")
    return text


# Words that become part of a file's or an experiment's name.
Word: TypeAlias = Annotated[str, BeforeValidator(_name), AfterValidator(_word)]
Fraction: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0, le=1e9)]
PositiveInt: TypeAlias = Annotated[int, Field(ge=1, lt=2**31)]  # what TensorFlow takes for a size
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]


class KeyOf:
    """The name of an entry of a registry, or one of `others`: `sampling: Annotated[str, KeyOf(RULES, NONE)]`."""

    def __init__(self, registry: Mapping[str, Any], *others: str) -> None:
        self._registry, self._others = registry, others

    @property
    def names(self) -> list[str]:
        return [*self._others, *self._registry]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._checked, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "enum": self.names}

    def _checked(self, value: Any) -> Any:
        if not isinstance(value, str) or value not in self.names:
            expected = [repr(name) for name in self.names]
            both = " or ".join(filter(None, [", ".join(expected[:-1]), expected[-1]]))
            raise PydanticKnownError("literal_error", {"expected": both})
        return value


class OneOf:
    """The options of a group: `weighting: Annotated[Weighting, OneOf(STRATEGIES)]`.

    The registry is a `Registry`; of the user's own options it has those that were loaded when the schema is made.

    Each option is read as a model of its own, told apart by `name`. It has the keys of the annotated section, which all
    options of the group share, or those of its section in `sections`, and the `keywords` of its function, or of its
    several functions, all required.
    """

    def __init__(
        self,
        registry: Any,
        functions_of: Callable[[Any], tuple[Callable[..., Any], ...]] = lambda record: (record,),
        section_of: Callable[[Any], type[Section] | None] = lambda _: None,
    ) -> None:
        self.registry, self._functions_of, self._section_of = registry, functions_of, section_of

    @property
    def functions(self) -> dict[str, tuple[Callable[..., Any], ...]]:
        """Those of each option, without what the user's own options need besides."""
        return {name: self._functions_of(record) for name, record in self.registry.available().items()}

    @property
    def sections(self) -> dict[str, type[Section]]:
        """The sections of the options that have one of their own."""
        found = {name: self._section_of(record) for name, record in self.registry.available().items()}
        return {name: section for name, section in found.items() if section is not None}

    def __get_pydantic_core_schema__(self, common: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        sections = self.sections
        members = [_option(name, sections.get(name, common), functions) for name, functions in self.functions.items()]
        union = functools.reduce(operator.or_, members)
        return handler.generate_schema(Annotated[union, Field(discriminator="name")] if len(members) > 1 else union)


@functools.lru_cache(maxsize=1024)
def _option(name: str, section: type[Section], functions: tuple[Callable[..., Any], ...]) -> type[Section]:
    """Return the model of one option: the same one whenever a schema is made anew, so that its values stay valid."""
    keys: dict[str, Any] = {
        key: (annotation, defaults(function).get(key, ...))
        for function in functions
        for key, annotation in keywords(function).items()
    }
    keys["name"] = (Literal[name], ...)
    return create_model(name, __base__=section, **keys)


def keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the keys of a function's YAML and their annotations: keyword-only parameters, or fields of a section."""
    found: dict[str, Any] = {}
    for name, annotation in _keyword_only(function).items():
        found |= annotated(annotation) if _is_section(annotation) else {name: annotation}
    return found


def annotated(section: type[Section]) -> dict[str, Any]:
    """The section's fields and their annotations."""
    hints = get_type_hints(section, include_extras=True)
    return {name: hints[name] for name in section.model_fields}


def arguments(section: Section, function: Callable[..., Any], classes: Sequence[str] = ()) -> dict[str, Any]:
    """The section's values for the function's keyword-only parameters.

    Where there are classes, mappings become arrays in class order, with NaN where a class need not have a number.

    Raises
    ------
    ConfigError
        If a mapping misses a class or names an unknown one.
    """

    def value_of(key: str) -> Any:
        value = getattr(section, key)
        every = not isinstance(value, Some)
        return in_class_order(value, classes, key, every=every) if isinstance(value, dict) and classes else value

    # The values are checked already, and as fields of the section that a parameter takes they are the same.
    return {
        name: annotation.model_construct(**{key: value_of(key) for key in annotation.model_fields})
        if _is_section(annotation)
        else value_of(name)
        for name, annotation in _keyword_only(function).items()
    }


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a function's keyword-only parameters, which functions of the user's own have."""
    parameters = inspect.signature(function).parameters.values()
    return {
        each.name: each.default
        for each in parameters
        if each.kind is each.KEYWORD_ONLY and each.default is not each.empty
    }


def _keyword_only(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {each.name: _annotation(each, function) for each in parameters if each.kind is each.KEYWORD_ONLY}


def _annotation(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    """Return what a parameter may be; one without an annotation may be what its default is."""
    found = parameter.annotation
    if found is parameter.empty:
        return type(parameter.default)
    if isinstance(found, str):  # of a file that postpones its annotations
        found = get_type_hints(function, include_extras=True)[parameter.name]
    # YAML has lists only.
    return Annotated[found, Field(strict=False)] if get_origin(found) is tuple else found


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def named(name: str, classes: Sequence[str]) -> str | None:
    """Return the class that a name means; None if there is none, or more than one.

    It is the class of exactly that name, or of the same number (`1.0` and `1`), or of the same answer: YAML makes
    `True` of `true` and of `yes`, and if the classes are a yes and a no, any such word will do.
    """
    if name in classes:
        return name
    number, word = number_in(name), name.casefold()
    if number is not None:
        same = [other for other in classes if number_in(other) == number]
    else:
        words = next((words for words in (TRUE, FALSE) if word in words), ())
        is_pair = len(classes) == 2 and all(
            any(other.casefold() in words for other in classes) for words in (TRUE, FALSE)
        )
        answers = (
            [other for other in classes if other.casefold() in words] if is_pair or word in ("true", "false") else []
        )
        same = [other for other in answers if other.casefold() == word] or answers
    return same[0] if len(same) == 1 else None


def in_class_order(by_name: Mapping[str, float], classes: Sequence[str], key: str, *, every: bool = True) -> Floats:
    """Return a mapping's numbers as float64 (classes,); it must name every class exactly once.

    Without `every` a class that it does not name has NaN.
    """
    numbers: dict[str, float] = {}
    for name, number in by_name.items():
        meant = known_class(name, classes, key)
        if meant in numbers:
            raise ConfigError(f"{key} names the class '{meant}' twice")
        numbers[meant] = number
    missing = [name for name in classes if name not in numbers]
    if missing and every:
        raise ConfigError(f"{key} has no number for {listing(missing)}: every class needs exactly one")
    return np.array([numbers.get(name, np.nan) for name in classes], dtype=np.float64)


def known_class(name: str, classes: Sequence[str], key: str) -> str:
    """Return the class that the option `key` names.

    Raises
    ------
    ConfigError
        If the data have no such class; the message names the nearest one.
    """
    meant = named(name, classes)
    if meant is None:
        raise ConfigError(f"{key} names the class '{name}', which the data do not have{suggestion(name, classes)}")
    return meant
