"""Evaluation of models by their images; needs the extra `vaegen[train]`.

`evaluate` measures models, `to_text` and `to_comparison` show the figures, `record` writes them into a bundle.

`samples` asks a model for images; everything else takes arrays and knows no model. Each family of figures has its
module: `evaluation_judge` (digits, features), `color_figures`, `fidelity` (distributions), `information` (nats and
latents); all figures carry the uncertainty of `statistics`.
"""

from vaegen_training.evaluate.evaluation import Evaluation, Evaluator, evaluate
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.evaluate.table import record, to_comparison, to_text

__all__ = ["Evaluation", "Evaluator", "Figure", "evaluate", "record", "to_comparison", "to_text"]
