# What type checkers and editors see of `import equipoise`. It stands apart from __init__.py, which every module of the
# project imports: what is imported there, even for type checkers alone, would count as code of every DVC stage.
from equipoise import losses as losses
from equipoise.api.audit import audit as audit
from equipoise.api.compare import compare as compare
from equipoise.api.estimate_prior import estimate_prior as estimate_prior
from equipoise.api.evaluate import evaluate as evaluate
from equipoise.api.logits import logits as logits
from equipoise.api.run import run as run
from equipoise.api.sweep import sweep as sweep
from equipoise.api.weights import class_weights as class_weights
from equipoise.core.errors import ConfigError as ConfigError
from equipoise.core.plugins import dataset as dataset
from equipoise.core.plugins import decision as decision
from equipoise.core.plugins import loss as loss
from equipoise.core.plugins import model as model
from equipoise.core.plugins import sampling as sampling
from equipoise.core.plugins import weighting as weighting

__all__ = [
    "ConfigError",
    "audit",
    "class_weights",
    "compare",
    "dataset",
    "decision",
    "estimate_prior",
    "evaluate",
    "logits",
    "loss",
    "losses",
    "model",
    "run",
    "sampling",
    "sweep",
    "weighting",
]
