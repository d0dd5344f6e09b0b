"""Evaluation of models by their images; needs the extra `vaegen[train]`.

`evaluate` measures models, `to_text` shows the figures, `record` writes them into a bundle.

`samples` asks a model for images; everything else takes arrays and knows no model. `evaluation_judge` reads digits and
computes features, `fidelity` compares images with real digits, all figures carry the uncertainty of `statistics`.
"""

from vaegen_training.evaluate.evaluation import Evaluation, Evaluator, evaluate
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.evaluate.table import record, to_text

__all__ = ["Evaluation", "Evaluator", "Figure", "evaluate", "record", "to_text"]
