"""Which task the data set."""

from equipoise.data.prepared import Prepared
from equipoise.methods.tasks.one_label import OneLabel
from equipoise.methods.tasks.several_labels import SeveralLabels
from equipoise.methods.tasks.task import Task


def task_of(data: Prepared) -> Task:
    """Return the task of learning the labels of these data."""
    return SeveralLabels() if data.several_labels else OneLabel()
