"""Check what the options of a config need of each other and of the data: all that needs no training."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from equipoise.config.estimators import check_command, check_estimator, moves_prior
from equipoise.config.lengths import check_judged_after
from equipoise.config.model import Config, Trainer
from equipoise.config.stacks import check_embedded, check_stacked
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.plugins import ROWS
from equipoise.core.schema import NONE, Floats, arguments, keywords
from equipoise.data.catalogue import DATASETS
from equipoise.data.mixing import MIXES
from equipoise.data.prepare import counted_by, surveyed
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import options_of
from equipoise.data.sampling import resampler
from equipoise.data.types import ESTIMATE, Source
from equipoise.methods import schedules
from equipoise.methods.bags import check_size
from equipoise.methods.calibration import CALIBRATIONS, leaves_prior_known
from equipoise.methods.costs import cost_matrix
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.estimators import Estimator
from equipoise.methods.losses import LOSSES, Known, of_labels
from equipoise.methods.models import MODELS, Architecture, estimator
from equipoise.methods.priors import prior_factors
from equipoise.methods.schedules import SCHEDULES
from equipoise.methods.second_stages import SECOND_STAGES
from equipoise.methods.weighting import POS_WEIGHTS, ClassWeights, weighed


def check_together(config: Config) -> None:
    """Refuse options that are each valid alone and wrong together, or wrong for these data.

    Raises
    ------
    ConfigError
        If the data are not what the config says, or two options contradict each other.
    """
    if config.dataset.target_prior == ESTIMATE:
        raise ConfigError(
            "dataset.target_prior=estimate is for a model that is trained: class frequencies are estimated from rows "
            "without labels that it answers; train with dataset.target_prior=training, then "
            f"{command('evaluate')} run=latest dataset.target_prior=estimate, or "
            f"{command('predict')} input=… output=… dataset.target_prior=estimate"
        )
    source = surveyed(config.dataset)
    _check_row_weights(config, source)
    counts = source.counts_by(counted_by(config.dataset))
    weights = weighed(config.weighting, counts)
    if config.weighting.name == NONE and SCHEDULES[config.weighting.schedule].has_start:
        raise ConfigError(
            f"weighting.schedule={config.weighting.schedule}: weighting=none has no weights to put in later; "
            "choose a weighting"
        )
    schedules.check(config.weighting)
    check_estimator(config, source)
    _check_model(config, source)
    _check_images(config, source)
    _check_mix(config, source)
    _check_sampling(config, source)
    _check_loss(config)
    if config.trainer.device == "cpu" and config.trainer.gpu_memory is not None:
        raise ConfigError(
            f"trainer.gpu_memory={config.trainer.gpu_memory} has no effect with trainer.device=cpu: "
            "leave one of the two out"
        )
    _check_batches(config)
    _check_phases(config)
    _check_strategy(config.trainer)
    _check_refit(config)
    check_judged_after(config, source.counts)
    check_stacked(config, source)
    if DATASETS[config.dataset.name].several_labels:
        _check_several_labels(config, source)
    else:
        _check_one_label(config, weights)


def check_typed(typed: Sequence[str], jobs: Sequence[Config]) -> None:
    """Refuse an option that was typed and does nothing in any of the jobs.

    Parameters
    ----------
    typed : the keys

    Raises
    ------
    ConfigError
        Naming it.
    """
    check_command(typed, jobs)
    if "trainer.sharpness_rho" in typed and all(job.trainer.sharpness == NONE for job in jobs):
        raise ConfigError(
            "trainer.sharpness_rho has no effect with trainer.sharpness=none: "
            "leave it out, or type trainer.sharpness=sam"
        )


def check_prepared(config: Config, data: Prepared) -> None:
    """Refuse what cannot be done with the features that the data were found to have.

    Raises
    ------
    ConfigError
        If features are numbers of categories, and the model or the mixing takes quantities; or if there are none, and
        vectors are asked for; or if bags of words are too large for the model.
    """
    record = estimator(config.model.name)
    if record is not None and data.words is not None and not record.sparse:
        check_size(config.model.name, len(data.split("train").labels), data.words)
    embedding = getattr(config.model, "embedding", "auto")
    if not data.ids and embedding != "auto":
        raise ConfigError(
            f"model.embedding={embedding} has no effect: no column of dataset={config.dataset.name} has more "
            "categories than dataset.max_categories; leave it out, or make that smaller"
        )
    if not data.ids:
        return
    check_embedded(config, data.ids)
    several = f"{max(data.ids) - 1} categories"
    # Those that training rows hold once have no number of their own, and would have a feature each.
    raise_it = f"type dataset.max_categories={10 * max(data.ids)}, which makes a feature of each category, or"
    model = MODELS[config.model.name]
    if not (getattr(model, "embeds", False) or getattr(model, "is_read", False)):
        able = " or ".join(name for name, each in MODELS.shipped.items() if getattr(each, "embeds", False))
        raise ConfigError(
            f"model={config.model.name} has no embedding, and the table has a column of {several}, which are numbers "
            f"to it: use model={able}, {raise_it} leave the column out with dataset.drop"
        )
    if config.dataset.mix != NONE:
        raise ConfigError(
            f"dataset.mix={config.dataset.mix} mixes quantities, and the table has a column of {several}: "
            f"{raise_it} leave dataset.mix out"
        )


def _check_row_weights(config: Config, source: Source) -> None:
    """Refuse what asks for row weights where there are none, or where no metric takes them."""
    name, weighted = config.dataset.name, config.evaluation.weighted
    asked = {"evaluation.weighted=true": weighted, "dataset.count=weight": counted_by(config.dataset) == "weight"}
    for typed in (typed for typed, is_asked in asked.items() if is_asked and source.masses is None):
        cure = "name their column with dataset.weight" if hasattr(config.dataset, "weight") else "leave it out"
        raise ConfigError(f"{typed}: the rows of dataset={name} have no weights: {cure}")
    if weighted and DATASETS[name].several_labels:
        raise ConfigError(
            f"evaluation.weighted=true is for one class a sample; metrics of dataset={name} count every row alike: "
            "leave it out (training takes dataset.weight all the same)"
        )


def _check_model(config: Config, source: Source) -> None:
    model = MODELS[config.model.name]
    if source.texts:
        _check_texts(config, model)
        return
    if model.texts:
        raise ConfigError(
            f"model={config.model.name} takes texts; dataset={config.dataset.name} gives numbers: "
            "choose dataset=text with dataset.tokens=none, or a dataset of your own that gives texts"
        )
    if source.words and not (model.words or model.own or model.is_read or isinstance(model, Estimator)):
        raise ConfigError(
            f"model={config.model.name} takes numbers; dataset={config.dataset.name} gives ids of words: "
            "use model=text or logistic"
        )
    if model.words and not source.words:
        raise ConfigError(
            f"model={config.model.name} takes ids of words; dataset={config.dataset.name} gives numbers: "
            "use dataset=text, or another model"
        )
    needed = model.dimensions
    if needed is not None and needed != source.dimensions:
        fitting = [
            name
            for name, architecture in MODELS.items()
            if architecture.dimensions in (None, source.dimensions) and not architecture.words
        ]
        dimensions = {2: "steps, channels", 3: "height, width, channels"}[needed]
        raise ConfigError(
            f"model={config.model.name} needs samples of {needed} dimensions ({dimensions}); "
            f"dataset={config.dataset.name} has {source.dimensions}: use model={' or '.join(fitting)}"
        )
    if model.check is not None:
        model.check(config.model, config.dataset)


def _check_images(config: Config, source: Source) -> None:
    """Refuse to alter what is no image."""
    names = config.dataset.augment
    if not names:
        return
    typed = f"dataset.augment=[{','.join(names)}]"
    if source.texts or source.dimensions != 3:
        raise ConfigError(
            f"{typed} alters images (height, width, channels); dataset={config.dataset.name} has {_held(source)}: "
            "leave it out"
        )
    if len(set(names)) < len(names):
        raise ConfigError(f"{typed} names one way twice: each image is altered in each way once")


def _held(source: Source) -> str:
    """Say what the samples are."""
    if source.texts or source.words:
        return "texts"
    return f"samples of {source.dimensions} dimension{'s' * (source.dimensions > 1)}"


def _check_mix(config: Config, source: Source) -> None:
    """Refuse to mix what has no mixture."""
    dataset, typed = config.dataset, f"dataset.mix={config.dataset.mix}"
    if dataset.mix == NONE:
        return
    if source.texts or source.words or (MIXES[dataset.mix].images and source.dimensions != 3):
        wanted = "images (height, width, channels)" if MIXES[dataset.mix].images else "numbers"
        raise ConfigError(f"{typed} mixes {wanted}; dataset={dataset.name} has {_held(source)}: leave it out")
    if config.weighting.name != NONE and config.loss.implementation == "class_weight":
        raise ConfigError(
            f"{typed} with loss.implementation=class_weight: Keras weighs a row by one class, and a mixture has two "
            "with a weight each; use loss=sample_weight or loss=custom"
        )
    if config.weighting.name != NONE and config.trainer.jit is True:
        raise ConfigError(
            f"{typed} with weighting={config.weighting.name} and trainer.jit=true: XLA rounds the weight of a mixture "
            "otherwise inside the loss than beside it; leave one of the three out"
        )
    rows = getattr(dataset, "weight", None)
    if rows is not None:
        raise ConfigError(
            f"{typed} with dataset.weight={rows}: no paper says what a mixture of weighted rows weighs; "
            "leave one of the two out"
        )
    if config.trainer.strategy == "multi_worker":
        raise ConfigError(
            f"{typed} with trainer.strategy=multi_worker: samples are mixed within a batch, of which each worker has a "
            "part; use trainer.strategy=mirrored"
        )
    unknown = MIXES[dataset.mix].by_count and not leaves_prior_known(config.calibration.name)
    if unknown and DECISIONS[config.decision.name].needs_prior:
        raise ConfigError(
            f"decision={config.decision.name} needs the prior that the model learned under; after {typed}, which moves "
            f"labels, it has no analytic form: use decision={DECISIONS[config.decision.name].instead}"
        )


def _check_sampling(config: Config, source: Source) -> None:
    """Refuse to resample what is no row of numbers, and options and counts that a resampling does not take."""
    dataset, typed = config.dataset, f"dataset.sampling={config.dataset.sampling}"
    options, record, kind = options_of(dataset), resampler(dataset.sampling), DATASETS[dataset.name]
    if record is None or kind.several_labels:  # which is told with what else is for one class a sample
        return
    if source.texts or source.words or source.dimensions != 1 or kind.read_in_place:
        has = "samples that stay in shards" if kind.read_in_place and source.dimensions == 1 else _held(source)
        raise ConfigError(
            f"{typed} resamples rows of features, as tables and vectors have; dataset={dataset.name} has {has}: use "
            "dataset.sampling=class_balanced, which draws samples as they are"
        )
    if source.masses is not None:
        raise ConfigError(
            f"{typed} with dataset.weight={vars(dataset).get('weight')}: no paper says what a new row weighs; "
            "leave one of the two out"
        )
    record.check_counts(dataset.sampling, options, source.classes, source.counts)


def _check_texts(config: Config, model: Architecture | Estimator) -> None:
    """Refuse what takes numbers alone."""
    gives = f"dataset={config.dataset.name} gives texts"
    if model.check is not None:
        model.check(config.model, config.dataset)
    if not (model.own or model.is_read):
        cure = "leave dataset.tokens=none out, or " if hasattr(config.dataset, "tokens") else ""
        raise ConfigError(
            f"model={config.model.name} takes numbers; {gives}: "
            f"{cure}choose a model of your own that makes numbers of them (docs/extend.md)"
        )
    demanded: dict[str, tuple[Any, Sequence[Any], str]] = {
        "trainer.jit": (config.trainer.jit, ["auto", False], "XLA knows numbers alone"),
        "trainer.engine": (config.trainer.engine, ["auto", "fit"], "it keeps numbers in memory"),
        "trainer.strategy": (config.trainer.strategy, ["single"], "replicas are handed numbers alone"),
    }
    for option, (typed, possible, why) in demanded.items():
        if typed not in possible:
            said = str(typed).lower() if isinstance(typed, bool) else typed
            raise ConfigError(f"{option}={said}: {gives}, and {why}: leave it out")


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


def _check_batches(config: Config) -> None:
    """Refuse what takes samples one by one, or a part of a batch, where the loss is that of a whole batch."""
    typed, dataset = f"loss={config.loss.name}", config.dataset
    if not LOSSES[config.loss.name].of_batches:
        return
    rows = getattr(dataset, "weight", None)
    asked = {
        f"weighting={config.weighting.name}": config.weighting.name != NONE,
        f"dataset.weight={rows}": rows is not None,
        f"dataset.mix={dataset.mix}": dataset.mix != NONE,
        f"trainer.strategy={config.trainer.strategy}": config.trainer.strategy != "single",
    }
    for other, is_asked in asked.items():
        if is_asked:
            why = "a replica sees a part of it" if other.startswith("trainer") else "no sample has a loss alone"
            raise ConfigError(f"{typed} with {other}: it is the loss of a whole batch, and {why}; leave one out")


def _check_strategy(trainer: Trainer) -> None:
    """Refuse what one device can do and several cannot."""
    typed = f"trainer.strategy={trainer.strategy}"
    if trainer.replicas != "auto" and trainer.strategy != "mirrored":
        raise ConfigError(
            f"trainer.replicas={trainer.replicas} with {typed} has no effect: it is for trainer.strategy=mirrored"
        )
    if trainer.replicas != "auto" and trainer.replicas > trainer.batch_size:
        raise ConfigError(
            f"trainer.replicas={trainer.replicas} cannot share a batch of trainer.batch_size={trainer.batch_size}: "
            "some would have no sample"
        )
    if trainer.strategy == "single":
        return
    if trainer.engine == "resident":
        raise ConfigError(
            f"trainer.engine=resident with {typed}: replicas have an engine of their own; leave one of the two out"
        )
    if trainer.jit is True:
        raise ConfigError(
            f"trainer.jit=true with {typed}: XLA cannot compile a step that waits for other replicas; "
            "leave one of the two out"
        )
    if trainer.precision == "mixed_float16":
        raise ConfigError(
            f"trainer.precision=mixed_float16 with {typed}: Keras looks for an overflow on the first replica alone; "
            "use mixed_bfloat16, which needs no scaling of the loss"
        )


def _check_phases(config: Config) -> None:
    """Refuse phases beside what goes over the whole of a training, and frozen ones where there is nothing to freeze."""
    trainer, model = config.trainer, MODELS[config.model.name]
    if not trainer.phases:
        return
    if trainer.schedule != "constant":
        raise ConfigError(
            f"trainer.schedule={trainer.schedule} with trainer.phases: each phase has a learning_rate of its own; "
            "leave one of the two out"
        )
    if trainer.ema is not None:
        raise ConfigError(
            f"trainer.ema={trainer.ema} with trainer.phases: an average over phases would be of other weights in each; "
            "leave one of the two out"
        )
    if any(phase.frozen for phase in trainer.phases) and not (model.backbone or model.own):
        fitting = " or ".join(name for name, each in MODELS.shipped.items() if each.backbone)
        raise ConfigError(
            f"trainer.phases freezes a backbone, which model={config.model.name} does not have: use model={fitting}, "
            "or leave frozen out"
        )


def _check_refit(config: Config) -> None:
    """Refuse to train once more on all rows where there is no way to."""
    kind, trainer = DATASETS[config.dataset.name], config.trainer
    if trainer.refit and kind.read_in_place and not kind.divided:
        raise ConfigError(
            f"trainer.refit=true with dataset={config.dataset.name}: the samples of each split stay in shards of their "
            "own, and a model is trained on those of one split; leave trainer.refit out"
        )
    if trainer.refit and trainer.strategy != "single":
        raise ConfigError(
            f"trainer.refit=true with trainer.strategy={trainer.strategy}: a model is trained once more on one device; "
            "leave one of the two out"
        )
    if trainer.refit and trainer.schedule == "reduce_on_plateau":
        raise ConfigError(
            "trainer.refit=true with trainer.schedule=reduce_on_plateau: the rows whose plateau it watches "
            "are trained on then; use trainer.schedule=cosine, or leave one of the two out"
        )


def _check_several_labels(config: Config, source: Source) -> None:
    """Refuse what is meant for one class a sample and cannot be asked of several labels."""
    demanded: dict[str, tuple[Any, Sequence[Any]]] = {
        "loss": (config.loss.name, of_labels()),
        "loss.implementation": (config.loss.implementation, ["custom"]),
        "weighting": (config.weighting.name, list(POS_WEIGHTS)),
        "weighting.normalize": (config.weighting.normalize, [NONE]),
        "weighting.schedule": (
            config.weighting.schedule,
            [n for n, course in SCHEDULES.items() if not course.has_start],
        ),
        "decision": (config.decision.name, [name for name, rule in DECISIONS.items() if rule.of_labels]),
        "dataset.labels": (config.dataset.labels, ["sparse"]),
        "dataset.positive": (config.dataset.positive, [None]),
        "dataset.sampling": (config.dataset.sampling, [NONE]),
        "dataset.mix": (config.dataset.mix, [NONE]),
        "dataset.target_prior": (config.dataset.target_prior, ["training"]),
        "trainer.second_stage": (config.trainer.second_stage, [NONE]),
    }
    for option, (typed, possible) in demanded.items():
        if typed not in possible:
            takes = " or ".join("null" if value is None else value for value in possible)
            own = option == "loss" and LOSSES[typed].own
            takes += f"; one of your own for several labels calls its first parameter {ROWS}" if own else ""
            raise ConfigError(
                f"{option}={typed} is for one class a sample; dataset={config.dataset.name} takes {option}={takes}"
            )
    pos_weight = POS_WEIGHTS[config.weighting.name]
    if pos_weight is not None and LOSSES[config.loss.name].positives is None:
        raise ConfigError(
            f"weighting={config.weighting.name} with several labels is loss.pos_weight, which "
            f"loss={config.loss.name} does not know: use weighting=none, or loss=sigmoid; a loss of your own may take "
            "`counts`"
        )
    if pos_weight is not None and getattr(config.loss, "pos_weight", None) is not None:
        raise ConfigError(
            f"weighting={config.weighting.name} with several labels is loss.pos_weight={pos_weight}: "
            "type one of the two"
        )
    _check_label_rule(config, source.classes)
    _check_options(config, source.classes)


def _check_label_rule(config: Config, classes: Sequence[str]) -> None:
    """Refuse an option of the decision rule that it does not take for several labels."""
    record = DECISIONS[config.decision.name]
    rule = record.of_labels
    if rule is not None and record.check is not None:
        record.check(**_options(config, rule.function, classes))
    for option, annotation in keywords(rule.function).items() if rule else ():
        typed = getattr(config.decision, option)
        try:
            TypeAdapter(annotation).validate_python(typed)
        except ValidationError as error:
            (detail,) = error.errors()
            takes = detail.get("ctx", {}).get("expected", detail["msg"])
            raise ConfigError(f"decision.{option}={typed} is not for several labels: choose from {takes}") from None


def _check_options(config: Config, classes: Sequence[str]) -> None:
    """Refuse options of the loss by class names that the data do not have."""
    try:
        for part in LOSSES[config.loss.name].parts:
            arguments(config.loss, part, classes)
    except ConfigError as error:
        raise ConfigError(f"loss.{error}") from None


def _check_one_label(config: Config, weights: ClassWeights) -> None:
    """Refuse what losses, decision rules, second stages and labels cannot do with each other."""
    costs = None if config.cost is None else cost_matrix(config.cost, weights.classes)
    _check_costs(config, weights.classes)
    _check_loss_of_labels(config, weights, costs)
    _check_second_stage(config)
    _check_decision(config, weights)
    classes = len(weights.classes)
    if config.dataset.labels == "binary" and classes != 2:
        raise ConfigError(
            f"dataset.labels=binary needs two classes; {config.dataset.name} has {classes}: use sparse or one_hot"
        )
    groups = config.evaluation.groups
    if groups != "terciles" and groups[0] > groups[1]:
        raise ConfigError(
            f"evaluation.groups=[{groups[0]},{groups[1]}]: the few are below the first, "
            "so it must not be above the second: try [20,100]"
        )
    prior = config.dataset.target_prior
    if isinstance(prior, tuple) and len(prior) != classes:
        raise ConfigError(f"dataset.target_prior has {len(prior)} numbers for {classes} classes")


def _check_costs(config: Config, classes: Sequence[str]) -> None:
    need = {
        f"loss={config.loss.name}": LOSSES[config.loss.name].needs_costs,
        f"decision={config.decision.name}": DECISIONS[config.decision.name].needs_costs,
    }
    for typed, needs_costs in need.items():
        if needs_costs and config.cost is None:
            first, second, *_ = classes
            raise ConfigError(
                f"{typed} needs the costs of confusions: cost={{{first}: {{{second}: 5}}}}, or a CSV file"
            )


def _check_loss_of_labels(config: Config, weights: ClassWeights, costs: Floats | None) -> None:
    loss, labels, record = config.loss, config.dataset.labels, LOSSES[config.loss.name]
    if record.yes_or_no and labels != "binary":
        raise ConfigError(
            f"loss={loss.name} needs a single logit: dataset.labels=binary (two classes); "
            f"dataset.labels={labels} takes a softmax loss"
        )
    _check_options(config, weights.classes)
    try:
        record.tables_of(Known.of_classes(weights.counted, costs), loss, weights.classes)
    except ConfigError as error:
        raise ConfigError(f"loss.{error}") from None
    except Exception as error:  # whatever tables that anybody has written may raise
        raise ConfigError(
            f"loss={loss.name}: the function of its tables fails: {type(error).__name__}: {error}"
        ) from None
    if record.head is not None and labels == "binary":
        raise ConfigError(
            f"loss={loss.name} needs a vector for each class; dataset.labels=binary has a single logit: "
            "use sparse or one_hot"
        )


def _check_second_stage(config: Config) -> None:
    stage, loss = config.trainer.second_stage, config.loss.name
    if stage == NONE:
        return
    if LOSSES[loss].head is not None:
        raise ConfigError(
            f"trainer.second_stage={stage} with loss={loss}: the loss makes the last layer anew already; "
            "use another loss"
        )
    if SECOND_STAGES[stage].needs_vectors and config.dataset.labels == "binary":
        raise ConfigError(
            f"trainer.second_stage={stage} compares the classes' vectors; dataset.labels=binary has one: "
            "use sparse or one_hot"
        )


def _options(config: Config, function: Callable[..., Any], classes: Sequence[str]) -> dict[str, Any]:
    """Return the options of the decision rule, by the classes that the data have."""
    try:
        return arguments(config.decision, function, classes)
    except ConfigError as error:
        raise ConfigError(f"decision.{error}") from None


def _check_decision(config: Config, weights: ClassWeights) -> None:
    name, classes = config.decision.name, len(weights.classes)
    rule, stage = DECISIONS[name], config.trainer.second_stage
    if classes > rule.most_classes:
        raise ConfigError(
            f"decision={name} is too slow for {classes} classes (at most {rule.most_classes}): "
            f"use decision={rule.instead}"
        )
    options = _options(config, rule.function, weights.classes)
    if rule.check is not None:
        rule.check(**options)
    calibrated = CALIBRATIONS.get(config.calibration.name)
    if rule.ranks and calibrated is not None and calibrated.has_steps:
        raise ConfigError(
            f"decision={name} goes by the order of scores, of which calibration={config.calibration.name} makes many "
            "equal: use calibration=beta"
        )
    if not rule.needs_prior or leaves_prior_known(config.calibration.name):
        return
    if not moves_prior(config, weights.weights):
        after, is_known = f"model={config.model.name}", False
    elif stage == NONE:
        after, is_known = f"loss={config.loss.name}", prior_factors(config.loss, weights) is not None
    else:
        after, is_known = f"trainer.second_stage={stage}", SECOND_STAGES[stage].prior is not None
    if not is_known:
        raise ConfigError(
            f"decision={name} needs the prior that the model learned under; "
            f"after {after} it has no analytic form: use decision={rule.instead}, or calibration=bias_corrected"
        )
