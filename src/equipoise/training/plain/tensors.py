"""Tensors of which the shape and the type are known, and as much of TensorFlow as it takes to follow them.

What is not modelled raises an error when it is asked for, and so stays unknown to who asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NoReturn

Sizes = tuple[int | None, ...]


@dataclass(frozen=True)
class Type:
    """A data type by its name in TensorFlow."""

    name: str

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers."""
        return self.name.startswith(("int", "uint"))


class Shape(tuple[int | None, ...]):
    """A shape as TensorFlow hands it out: it knows its rank."""

    __slots__ = ()

    @property
    def rank(self) -> int:
        """How many dimensions there are."""
        return len(self)

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        if found is None:
            raise TypeError("not known")
        return found


FLOAT32, INT32, INT64 = Type("float32"), Type("int32"), Type("int64")


class Tensor:
    """A tensor without values.

    Parameters
    ----------
    sizes : of the dimensions; None: the number of samples
    """

    def __init__(self, sizes: Sequence[int | None], dtype: Type = FLOAT32) -> None:
        self.shape, self.dtype = Shape(sizes), dtype

    def is_like(self, other: object) -> bool:
        """Whether the other one is a tensor of the same shape and type."""
        return isinstance(other, Tensor) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def _with(self, other: Any) -> "Tensor":
        """Return what an operation on each pair of elements gives."""
        if isinstance(other, int | float) and not isinstance(other, bool):
            return self
        if not isinstance(other, Tensor) or other.dtype != self.dtype:
            raise TypeError("not known")
        return Tensor(_broadcast(self.shape, other.shape), self.dtype)

    def __neg__(self) -> "Tensor":
        return self

    def _unknown(self, *_: object) -> NoReturn:
        """Refuse to be compared, or to be true or false: that depends on values."""
        raise TypeError("not known")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _with
    __eq__ = __ne__ = __bool__ = _unknown
    __hash__ = object.__hash__


def _broadcast(left: Sizes, right: Sizes) -> Sizes:
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    padded = (1,) * (len(longer) - len(shorter)) + tuple(shorter)
    if any(a != b and 1 not in (a, b) for a, b in zip(longer, padded, strict=True)):
        raise TypeError("not known")
    return tuple(b if a == 1 else a for a, b in zip(longer, padded, strict=True))


def _cast(tensor: Tensor, dtype: Type) -> Tensor:
    return Tensor(tensor.shape, dtype)


def _reshape(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    if list(sizes) != [-1] or tensor.shape not in ((None,), (None, 1)):
        raise TypeError("not known")
    return Tensor((None,), tensor.dtype)


def _concat(tensors: Sequence[Tensor], axis: int) -> Tensor:
    first = tensors[0]
    if axis != -1 or any(tensor.shape[:-1] != first.shape[:-1] for tensor in tensors):
        raise TypeError("not known")
    return Tensor((*first.shape[:-1], sum(tensor.shape[-1] or 0 for tensor in tensors)), first.dtype)


def _one_hot(indices: Tensor, classes: int) -> Tensor:
    return Tensor((*indices.shape, classes))


def _alike(tensor: Tensor, *_: Any) -> Tensor:
    return tensor


def _of_samples(labels: Tensor, logits: Tensor) -> Tensor:
    return Tensor(logits.shape[:-1])


_ALIKE = ("log_softmax", "softmax", "relu", "sigmoid")
TENSORFLOW = SimpleNamespace(
    float32=FLOAT32,
    int32=INT32,
    int64=INT64,
    cast=_cast,
    reshape=_reshape,
    concat=_concat,
    one_hot=_one_hot,
    zeros_like=_alike,
    exp=_alike,
    maximum=_alike,
    pow=_alike,
    nn=SimpleNamespace(
        **dict.fromkeys(_ALIKE, _alike),
        sparse_softmax_cross_entropy_with_logits=_of_samples,
        softmax_cross_entropy_with_logits=_of_samples,
    ),
    math=SimpleNamespace(expm1=_alike, log1p=_alike, log_sigmoid=_alike, exp=_alike, log=_alike),
)
