"""Evaluation of bundles by their images: `evaluate` measures, `to_text` shows. Needs the extra `vaegen[train]`.

`gather` asks a bundle for images; everything else takes arrays and knows no model. Each family of figures has its
module: `judge` (digits, features), `color`, `fidelity` (distributions), `information` (nats and latents); all figures
carry the uncertainty of `statistics`.
"""

from vaegen_training.evaluation.statistics import Figure
from vaegen_training.evaluation.suite import Evaluation, evaluate
from vaegen_training.evaluation.table import to_text

__all__ = ["Evaluation", "Figure", "evaluate", "to_text"]
