"""What a script is written of, and the pieces that it is put together of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise.config.model import Config
from equipoise.core.schema import Floats
from equipoise.data.prepared import Prepared
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.weighting import ClassWeights
from equipoise.training.plain.tensors import Tensor
from equipoise.training.plain.writing import WIDTH, comment, summary
from equipoise.training.precision import with_rows

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}


@dataclass(frozen=True)
class Origin:
    """The run that has trained the model.

    Attributes
    ----------
    run : its id
    how : what its tags say of `device`, `engine` and `xla`
    weights_sha256 : the digest of the trained weights
    refit : the epochs of a model that was trained on all rows, once another was judged; None: it is the judged one
    """

    run: str
    how: Mapping[str, str]
    weights_sha256: str
    refit: int | None = None


@dataclass(frozen=True)
class Case:
    """A trained model, and what it was trained on and with.

    Attributes
    ----------
    brief : how lines are saved: 0, not at all; 1, the weights are a formula; 2, there are no comments, too; 3, the
        model's loops stay loops, too
    """

    config: Config
    data: Prepared
    weights: ClassWeights
    origin: Origin
    brief: int = 0

    def said(self, option: str, document: str | None, width: int = WIDTH) -> list[str]:
        """Return a comment on an option, by the docstring of what it names."""
        return [] if self.brief > 1 else comment(f"{option}: {summary(document)}", width)

    @property
    def logits(self) -> int:
        """How many the model ends in."""
        return 1 if self.config.dataset.labels == "binary" else len(self.data.classes)

    @property
    def labels(self) -> Tensor:
        """A batch of labels as Keras hands it to a loss, which is as float32."""
        indices = self.config.dataset.labels == "sparse" and not self.data.several_labels
        return Tensor((None,)) if indices else Tensor((None, self.logits))

    @property
    def label_array(self) -> str:
        """The training labels in the form in which the model sees them, as an expression."""
        indices = self.config.dataset.labels == "sparse" and not self.data.several_labels
        return "y_train" if indices else "labels"

    @property
    def factors(self) -> Floats:
        """What a sample's loss is multiplied by, by its class."""
        return task_of(self.data).factors(self.weights)

    @property
    def largest(self) -> Floats:
        """The largest factor of a sample's loss in each class."""
        return with_rows(self.factors, self.data.split("train"))

    @property
    def is_weighted(self) -> bool:
        """Whether there are weights other than 1."""
        return bool((self.factors != 1).any())

    @property
    def has_rows(self) -> bool:
        """Whether the rows have weights of their own."""
        return self.data.masses is not None

    @property
    def by_weight(self) -> bool:
        """Whether counts are sums of the rows' weights."""
        return self.has_rows and self.data.count == "weight"

    @property
    def how(self) -> str:
        """How the weights are put in, to the same bits as in the run."""
        return "sample_weight" if self.has_rows else self.config.loss.implementation

    @property
    def is_scheduled(self) -> bool:
        """Whether the weights change while the model is trained."""
        return self.is_weighted and self.config.weighting.schedule != "constant"

    @property
    def optimizer(self) -> str:
        """The optimiser, as an expression."""
        return self.optimizer_with()

    def optimizer_with(self, **options: float) -> str:
        """The optimiser with more than its learning rate, as an expression."""
        trainer = self.config.trainer
        typed = [repr(trainer.learning_rate), *(f"{name}={value!r}" for name, value in options.items())]
        return f"keras.optimizers.{OPTIMIZERS[trainer.optimizer]}({', '.join(typed)})"


@dataclass(frozen=True)
class Piece:
    """Lines of a script.

    Attributes
    ----------
    value : what is used of it elsewhere, as an expression
    needs : `counts` and `validation`, where it uses them
    """

    lines: Sequence[str] = ()
    value: str = ""
    needs: Sequence[str] = ()
