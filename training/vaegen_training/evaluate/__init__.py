"""Evaluation of bundles by their images; needs the extra `vaegen[train]`.

`evaluate` measures one, `to_text` shows it, `to_comparison` shows several side by side.

`gather` asks a bundle for images; everything else takes arrays and knows no model. Each family of figures has its
module: `judge` (digits, features), `color`, `fidelity` (distributions), `information` (nats and latents); all figures
carry the uncertainty of `statistics`.
"""

from vaegen_training.evaluation.statistics import Figure
from vaegen_training.evaluation.suite import Evaluation, evaluate
from vaegen_training.evaluation.table import to_comparison, to_text

__all__ = ["Evaluation", "Figure", "evaluate", "to_comparison", "to_text"]
