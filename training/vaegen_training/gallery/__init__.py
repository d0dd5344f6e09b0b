"""Reports: what models make, in pictures and figures. `report` writes one. Needs the extra `vaegen[train]`.

`subject` sends test digits through a model; `drawings` draws its pictures, with `latent_space` for paths through
latents and `canvas` for sheets and plots; `conclusion_figures` measures what `conclusions` judges; `pages` writes the
Markdown.
"""

from vaegen_training.gallery.report import Report, report
from vaegen_training.gallery.subject import Source

__all__ = ["Report", "Source", "report"]
