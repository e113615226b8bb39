"""What the options of a config need of each other and of the data: every check that needs no training."""

from equipoise.config.model import Config, Trainer
from equipoise.core.schema import ConfigError, arguments
from equipoise.data.catalogue import DATASETS
from equipoise.data.prepare import surveyed
from equipoise.data.types import Source
from equipoise.methods import schedules
from equipoise.methods.costs import cost_matrix
from equipoise.methods.decisions import MOST_BIASES
from equipoise.methods.losses import LOSSES, Known
from equipoise.methods.models import MODELS
from equipoise.methods.priors import prior_factors
from equipoise.methods.weighting import ClassWeights, class_weights
from equipoise.metrics import multilabel


def check_together(config: Config) -> None:
    """Combinations that are each valid alone and wrong together, or that need a look at the data.

    Raises
    ------
    ConfigError
        If the data are not what the config says, or two options contradict each other.
    """
    source = surveyed(config.dataset)
    weights = class_weights(config.weighting, source.counts, source.classes)
    schedules.check(config.weighting)
    _check_model(config, source)
    _check_loss(config)
    if config.trainer.device == "cpu" and config.trainer.gpu_memory is not None:
        raise ConfigError(
            f"trainer.gpu_memory={config.trainer.gpu_memory} has no effect with trainer.device=cpu: leave one of the two out"
        )
    _check_strategy(config.trainer)
    if DATASETS[config.dataset.name].several_labels:
        _check_several_labels(config)
        return
    _check_methods(config, weights)
    classes = len(source.classes)
    if config.dataset.labels == "binary" and classes != 2:
        raise ConfigError(
            f"dataset.labels=binary needs two classes; {config.dataset.name} has {classes}: use sparse or one_hot"
        )
    groups = config.evaluation.groups
    if groups != "terciles" and groups[0] > groups[1]:
        raise ConfigError(
            f"evaluation.groups=[{groups[0]},{groups[1]}]: the few are below the first, so it must not be above the second: try [20,100]"
        )
    prior = config.dataset.target_prior
    if isinstance(prior, tuple) and len(prior) != classes:
        raise ConfigError(f"dataset.target_prior has {len(prior)} numbers for {classes} classes")


def _check_model(config: Config, source: Source) -> None:
    needed = MODELS[config.model.name].dimensions
    if needed is not None and needed != source.dimensions:
        fitting = [
            name for name, architecture in MODELS.items() if architecture.dimensions in (None, source.dimensions)
        ]
        dimensions = {2: "steps, channels", 3: "height, width, channels"}[needed]
        raise ConfigError(
            f"model={config.model.name} needs samples of {needed} dimensions ({dimensions}); "
            f"dataset={config.dataset.name} has {source.dimensions}: use model={' or '.join(fitting)}"
        )


def _check_loss(config: Config) -> None:
    loss = config.loss
    function = LOSSES[loss.name].function.__name__
    if loss.function != function:
        raise ConfigError(
            f"loss.function={loss.function}: loss={loss.name} is {function}; choose another loss=…, not its function"
        )
    only = LOSSES[loss.name].implementation
    if only is not None and loss.implementation != only:
        raise ConfigError(
            f"loss={loss.name} with loss.implementation={loss.implementation} contradict each other: "
            f"use loss={loss.implementation}"
        )


def _check_strategy(trainer: Trainer) -> None:
    """What one device can do and several cannot."""
    typed = f"trainer.strategy={trainer.strategy}"
    if trainer.replicas != "auto" and trainer.strategy != "mirrored":
        raise ConfigError(
            f"trainer.replicas={trainer.replicas} with {typed} has no effect: it is for trainer.strategy=mirrored"
        )
    if trainer.replicas != "auto" and trainer.replicas > trainer.batch_size:
        raise ConfigError(
            f"trainer.replicas={trainer.replicas} cannot share a batch of trainer.batch_size={trainer.batch_size}: some would have no sample"
        )
    if trainer.strategy == "single":
        return
    if trainer.engine == "resident":
        raise ConfigError(
            f"trainer.engine=resident with {typed}: replicas have an engine of their own; leave one of the two out"
        )
    if trainer.jit is True:
        raise ConfigError(
            f"trainer.jit=true with {typed}: XLA cannot compile a step that waits for other replicas; leave one of the two out"
        )
    if trainer.precision == "mixed_float16":
        raise ConfigError(
            f"trainer.precision=mixed_float16 with {typed}: Keras looks for an overflow on the first replica alone; "
            "use mixed_bfloat16, which needs no scaling of the loss"
        )


def _check_several_labels(config: Config) -> None:
    """What is meant for one class a sample cannot be asked of several labels."""
    demanded = {
        "loss": (config.loss.name, tuple(name for name, loss in LOSSES.items() if loss.yes_or_no)),
        "loss.implementation": (config.loss.implementation, ("custom",)),
        "weighting": (config.weighting.name, ("none", "balanced")),
        "weighting.normalize": (config.weighting.normalize, ("none",)),
        "weighting.schedule": (config.weighting.schedule, ("constant",)),
        "decision": (config.decision.name, ("argmax", "tuned")),
        "dataset.labels": (config.dataset.labels, ("sparse",)),
        "dataset.positive": (config.dataset.positive, (None,)),
        "dataset.sampling": (config.dataset.sampling, ("none",)),
        "dataset.target_prior": (config.dataset.target_prior, ("training",)),
        "trainer.second_stage": (config.trainer.second_stage, ("none",)),
    }
    for option, (typed, possible) in demanded.items():
        if typed not in possible:
            takes = " or ".join("null" if value is None else value for value in possible)
            raise ConfigError(
                f"{option}={typed} is for one class a sample; dataset={config.dataset.name} takes {option}={takes}"
            )
    if config.weighting.name == "balanced" and getattr(config.loss, "pos_weight", None) is not None:
        raise ConfigError("weighting=balanced with several labels is loss.pos_weight=auto: type one of the two")
    if config.decision.name == "tuned":
        multilabel.check_metric(getattr(config.decision, "metric", ""))
    try:
        for part in LOSSES[config.loss.name].code:
            arguments(config.loss, part, surveyed(config.dataset).classes)
    except ConfigError as error:
        raise ConfigError(f"loss.{error}") from None


def _check_methods(config: Config, weights: ClassWeights) -> None:
    """What losses, decision rules and second stages need of each other and of the labels."""
    loss, single, classes = config.loss, config.dataset.labels == "binary", weights.classes
    record = LOSSES[loss.name]
    costs = None if config.cost is None else cost_matrix(config.cost, classes)
    for group, name, needed in (
        ("loss", loss.name, record.needs_costs),
        ("decision", config.decision.name, config.decision.name == "cost"),
    ):
        if needed and costs is None:
            raise ConfigError(
                f"{group}={name} needs the costs of confusions: cost={{{classes[0]}: {{{classes[1]}: 5}}}}, or a CSV file"
            )
    if record.yes_or_no and not single:
        raise ConfigError(
            f"loss={loss.name} needs a single logit: dataset.labels=binary (two classes); "
            f"dataset.labels={config.dataset.labels} takes a softmax loss"
        )
    try:
        for part in record.code:
            arguments(loss, part, classes)
        record.tables_of(Known.of_classes(weights.counts, costs), loss, classes)
    except ConfigError as error:
        raise ConfigError(f"loss.{error}") from None
    if config.decision.name == "tuned" and len(classes) > MOST_BIASES:
        raise ConfigError(
            f"decision=tuned tries biases class by class, too slow for {len(classes)} classes (at most {MOST_BIASES}): use logit_adjusted"
        )
    if record.head is not None and single:
        raise ConfigError(
            f"loss={loss.name} needs a vector for each class; dataset.labels=binary has a single logit: "
            "use sparse or one_hot"
        )
    stage = config.trainer.second_stage
    if stage != "none" and record.head is not None:
        raise ConfigError(
            f"trainer.second_stage={stage} with loss={loss.name}, which makes a last layer of its own: use another loss"
        )
    if stage == "tau_norm" and single:
        raise ConfigError(
            "trainer.second_stage=tau_norm compares the classes' vectors; dataset.labels=binary has one: use sparse or one_hot"
        )
    if config.decision.name == "logit_adjusted":
        analytic = stage == "crt" or prior_factors(loss, weights) is not None
        after = f"trainer.second_stage={stage}" if stage == "tau_norm" else None if analytic else f"loss={loss.name}"
        if after:
            raise ConfigError(
                f"decision=logit_adjusted needs the prior that the model learned under; after {after} it has no analytic form: use decision=tuned"
            )
