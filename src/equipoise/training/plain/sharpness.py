"""The steps of a script that take two passes: a model of the same layers with another `train_step`."""

from equipoise.core.schema import NONE
from equipoise.methods.sharpness import SHARPNESS, options_of
from equipoise.training.plain.case import Case
from equipoise.training.plain.definitions import Definitions, Text
from equipoise.training.plain.writing import indented

MODEL = "SharpnessAware"  # the class of the script, and of `training.sharpness`
SAID = "{}: a second pass finds the gradient elsewhere, and changes no variable."
LOSS = "self.compute_loss(x, y, self(x, training=True), sample_weight)"


def sharpness(case: Case, definitions: Definitions) -> list[str]:
    """Return the statement that gives the model its steps; none where they are Keras's own."""
    trainer = case.config.trainer
    if trainer.sharpness == NONE:
        return []
    option, handed = f"trainer.sharpness={trainer.sharpness}", (Text("weights"), Text("gradients"))
    place = definitions.call(option, SHARPNESS[trainer.sharpness], *handed, **options_of(trainer))
    head = [
        f"class {MODEL}(keras.Model):",
        *indented([f'"""{SAID.format(option)}"""', "", "def train_step(self, data):"]),
    ]
    definitions.write(MODEL, [*head, *indented(indented(_step(case, place)))])
    return [f"model = {MODEL}(model.input, model.output)"]


def _step(case: Case, place: str) -> list[str]:
    """Return the statements of a step, as `training.sharpness.SharpnessAware` takes it."""
    gradients = "tape.gradient(scaled, weights)"
    if case.data.ids:  # the gradient of an embedding is of the rows that were looked up
        gradients = f"[tf.convert_to_tensor(each) for each in {gradients}]"
    return [
        "x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)",
        "weights = self.trainable_variables",
        "states = [(state, tf.convert_to_tensor(state)) for state in self.non_trainable_variables]",
        "with tf.GradientTape() as tape:",
        f"    loss = {LOSS}",
        "    scaled = self.optimizer.scale_loss(loss)",
        "self.metrics[0].update_state(loss, sample_weight=tf.shape(x)[0])",
        f"gradients = {gradients}",
        f"place = {place}",
        "with tf.GradientTape() as tape, keras.StatelessScope([*zip(weights, place, strict=True), *states]):",
        "    tape.watch(place)",
        f"    scaled = self.optimizer.scale_loss({LOSS})",
        "self.optimizer.apply_gradients(zip(tape.gradient(scaled, place), weights, strict=True))",
        "return self.get_metrics_result()",
    ]
