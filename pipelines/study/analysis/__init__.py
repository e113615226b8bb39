"""The analysis of the study that docs/study_design.md describes: from the table of runs to verdicts, figures, pages.

`table` reads, `pooled` measures, `contrasts` pairs, `hierarchy` infers, `hypotheses` judges; the others describe or
write. No module trains anything, and none knows MLflow or TensorFlow.
"""
