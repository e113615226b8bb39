"""A registry: the options of a kind by their names, the project's and the user's own."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.core.plugins import Own

Record = TypeVar("Record")


class Registry(Mapping[str, Record]):
    """The records of the shipped options, and of the user's own.

    To look one of the user's own up imports its file; to ask which names there are reads files alone, and imports none.

    Attributes
    ----------
    shipped : the records of the project's own options

    Parameters
    ----------
    kind : as in the mark `@equipoise.loss`
    record_of : from a marked function, and what is known of it, to its record
    reserved : keys that every option of the kind has
    """

    def __init__(
        self,
        kind: str,
        shipped: Mapping[str, Record],
        record_of: Callable[[Callable[..., Any], Own], Record],
        reserved: tuple[str, ...] = (),
    ) -> None:
        self.kind, self.shipped = kind, shipped
        self._record_of, self._reserved = record_of, ("name", *reserved)

    def __getitem__(self, name: str) -> Record:
        return self.shipped[name] if name in self.shipped else self._record_of(self.function(name), self.own()[name])

    def __iter__(self) -> Iterator[str]:
        yield from self.shipped
        yield from self.own()

    def __len__(self) -> int:
        return len(self.shipped) + len(self.own())

    def __contains__(self, name: object) -> bool:
        return name in self.shipped or name in self.own()

    def own(self) -> dict[str, Own]:
        """The user's own options.

        Raises
        ------
        ConfigError
            If one has the name of a shipped option, or a key that every option has.
        """
        found = plugins.options(self.kind)
        for name, option in found.items():
            if name in self.shipped or name == "none":
                raise ConfigError(
                    f"{option.place}: {self.kind}={name} is the name of an option that the project has already: "
                    "rename the function"
                )
            taken = [key for key in option.defaults if key in self._reserved]
            if taken:
                raise ConfigError(
                    f"{option.place}: {name} has an option {taken[0]}, which every {self.kind} has: rename it"
                )
        return found

    def function(self, name: str) -> Callable[..., Any]:
        """Return the user's own function of that name, imported if it is not yet."""
        own = self.own()
        if name not in own:
            raise KeyError(name)
        return plugins.function(own[name])

    def available(self) -> dict[str, Record]:
        """The records of the shipped options and of those that were loaded: no file is imported for it."""
        loaded = {known: there for known, there in plugins.loaded().items() if known.kind == self.kind}
        there = set(self.own().values()) if loaded else set()
        own = {known.name: self._record_of(function, known) for known, function in loaded.items() if known in there}
        return {**self.shipped, **own}
