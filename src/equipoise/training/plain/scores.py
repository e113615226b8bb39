"""How a script judges its model: on the validation split for early stopping, and on the test split at the end."""

import re

from equipoise.training.plain.case import Case, Piece
from equipoise.training.plain.writing import wrapped

# Of `predicted`, the class indices, or of `logits`, and the true `y`.
OF_CLASSES = {
    "val/balanced_accuracy": "np.mean([np.mean(predicted[y == c] == c) for c in np.unique(y)])",
    "val/accuracy": "np.mean(predicted == y)",
    "val/macro_f1": (
        "np.mean([2 * np.sum((predicted == c) & (y == c)) / (np.sum(predicted == c) + np.sum(y == c))"
        " for c in np.unique(y)])"
    ),
    "val/log_loss": "-np.mean(tf.nn.log_softmax(np.float64(logits)).numpy()[np.arange(len(y)), y])",
}
# Of `predicted`, whether each label is predicted.
BY_LABEL = "for p, t in zip(predicted.T, y.T == 1, strict=True) if t.any()"
OF_LABELS = {
    "val/balanced_accuracy": f"np.mean([(np.mean(p[t]) + np.mean(~p[~t])) / 2 {BY_LABEL}])",
    "val/accuracy": "np.mean(predicted == y)",
    "val/macro_f1": f"np.mean([2 * np.sum(p & t) / (np.sum(p) + np.sum(t)) {BY_LABEL}])",
    "val/log_loss": "np.mean(np.logaddexp(0, np.where(y == 1, -np.float64(logits), np.float64(logits))))",
}


def score(case: Case, metric: str, split: str) -> tuple[list[str], str]:
    """Return the statements that predict a split, and the metric of it as an expression."""
    several = case.data.several_labels
    formula = re.sub(r"\by\b", f"y_{split}", (OF_LABELS if several else OF_CLASSES)[metric])
    logits = f"model.predict(x_{split}, verbose=0)"
    if "predicted" not in formula:
        # A single logit z stands for the two logits (0, z).
        return [f"logits = {f'np.pad({logits}, ((0, 0), (1, 0)))' if case.logits == 1 else logits}"], formula
    if several:
        return [f"predicted = {logits} > 0"], formula
    predicted = f"({logits}[:, 0] > 0).astype(int)" if case.logits == 1 else f"{logits}.argmax(axis=1)"
    return [f"predicted = {predicted}"], formula


def early_stopping(case: Case) -> tuple[list[str], Piece, list[str]]:
    """Return the statements before the loop, at the end of an epoch, and after the loop."""
    trainer = case.config.trainer
    stops, scored = trainer.early_stopping is not None, trainer.schedule == "reduce_on_plateau"
    if not (stops or scored):
        return [], Piece(), []
    predicted, formula = score(case, trainer.monitor, "validation")
    if trainer.monitor == "val/log_loss":
        formula = formula.removeprefix("-") if formula.startswith("-") else f"-{formula}"
    epoch = [*predicted, *wrapped(f"score = {formula}"), *(["scores.append(score)"] if scored else [])]
    if not stops:
        return [], Piece(epoch, needs=["validation"]), []
    epoch += [
        "waited = 0 if score > best else waited + 1",
        "if waited == 0:",
        "    best, best_weights = score, model.get_weights()",
        f"if waited == {trainer.early_stopping}:  # epochs without a better {trainer.monitor}",
        "    break",
    ]
    return ["best, waited = -np.inf, 0"], Piece(epoch, needs=["validation"]), ["model.set_weights(best_weights)"]


def evaluation(case: Case) -> list[str]:
    """Return the statements that judge the model on the test split, if it has not seen it, and print its digest."""
    predicted, formula = score(case, "val/balanced_accuracy", "test")
    judged = [*predicted, *wrapped(f"score = {formula}"), 'print("balanced accuracy on the test split:", score)']
    return [
        *(judged if case.origin.refit is None else []),
        "digest = hashlib.sha256()",
        "for array in model.get_weights():",
        '    digest.update(f"{array.dtype} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())',
        'print("weights_sha256:", digest.hexdigest())',
        f'print("of the run:     {case.origin.weights_sha256}")',
    ]
