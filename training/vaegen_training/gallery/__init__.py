"""Reports: what models make, in pictures and figures. `report` writes one. Needs the extra `vaegen[train]`.

`drawings` sends test digits through a model and draws its pictures, with `latent_space` for paths through latents and
`canvas` for sheets and plots; `report` puts them on a page.
"""

from vaegen_training.gallery.report import Report, report

__all__ = ["Report", "report"]
