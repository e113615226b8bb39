"""Trainings so small that tests can repeat them: what is typed for them."""

IMPLEMENTATIONS = ("class_weight", "sample_weight", "custom")
# 93 samples in batches of 16: the last batch holds 13.
SMALL = [
    "dataset=synthetic",
    "dataset.class_counts=[60,25,8]",
    "dataset.features=6",
    "model=mlp",
    "model.hidden=[8]",
    "trainer.batch_size=16",
]
# The gradient times the step is beyond float32.
HUGE = [
    "weighting=manual",
    "weighting.weights={0:1e30,1:1e30,2:1e30}",
    "trainer.learning_rate=1e9",
    "trainer.optimizer=sgd",
]
