"""Reports: what models make, seen and measured. `report` writes one. Needs the extra `vaegen[train]`.

`subject` sends test digits through a model; `pictures` draws, with `latent_space` for the ways through latents,
`canvas` for sheets and `scatter` for plots; `measures` takes the figures that `conclusions` judges; `pages` words them;
`folder` puts everything in place.
"""

from vaegen_training.report.subject import Source
from vaegen_training.report.suite import Report, report

__all__ = ["Report", "Source", "report"]
