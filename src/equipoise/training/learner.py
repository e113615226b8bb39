"""What learns: the interface that a run needs of a model, whatever trains it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from equipoise.core.schema import Floats
from equipoise.methods.weighting import ClassWeights
from equipoise.training.checkpoints import Checkpoints


class OnEpoch(Protocol):
    """Told the epoch, from 0, and its metrics: `train/loss`, `val/…`, and `weight_schedule` if there is one.

    Returns True if that is enough. `is_passed`: the model is not as it was then and need not be asked, since
    nobody has asked for that epoch and another one is the best.
    """

    def __call__(self, epoch: int, metrics: dict[str, float], is_passed: bool = False, /) -> bool | None: ...


# Handed the model, and some samples as it takes them.
Keep = Callable[[Any, Floats], None]


class Learner(Protocol):
    """A model that is fitted to weighted samples, and answers with logits.

    Attributes
    ----------
    place : the device that it trains on, as people are told
    how : what tags a run with how it is trained, such as the device and the engine
    """

    place: str
    how: Mapping[str, str]

    def fit(self, weights: ClassWeights, on_epoch: OnEpoch, checkpoints: Checkpoints | None) -> None:
        """Train in place, from the newest checkpoint on if there is one."""

    def logits(self, features: Any) -> Floats:
        """Return float32 (n, logits) for features of shape (n, *shape)."""

    def shares(self, weights: Floats, epoch: int) -> Mapping[str, Floats]:
        """Return each class's part of the loss and of the gradient under these weights; empty if classes have none.

        Parameters
        ----------
        epoch : from 0, whose loss it is, where the loss changes with the epoch
        """

    def second_stage(self) -> Mapping[str, Sequence[float]]:
        """Train the second stage, if there is one; return what it says of itself."""

    def weights_sha256(self) -> str:
        """Return the digest of all that it has learned."""

    def save(self, keep: Keep) -> None:
        """Hand what it has learned to who keeps it."""

    def described(self) -> Iterator[str]:
        """Yield what is to be said of the model and of the loss before training, a line each."""
