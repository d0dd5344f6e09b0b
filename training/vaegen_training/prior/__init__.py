"""The second stage: p(latent | digit, rgb, style), which answers `--color red --digit 3`.

The prior models the encoder's features; the VAE's own posterior heads turn drawn features into latents. So the
latents are distributed as the aggregated posterior, for Gaussian and categorical latents alike, and one family of
priors serves all three models. Where the model codes color or digit apart, their posteriors are known exactly from the
request and the prior models the rest alone. The style is slant and thickness of the stroke, each given or not.

::

    flow.py         what is modelled, standardised features given digit, color and style; a velocity field is fitted to
                    them by flow matching: accurate, but slow to draw from
    generator.py    a network learns the field's solutions, and to pass for training digits before a critic: one pass
                    from noise to features, which is what ships
    conditional.py  features to latents; what `prior.onnx` holds
"""

from vaegen_training.prior.conditional import Prior
from vaegen_training.prior.flow import Examples, FeatureSpace, FlowObjective, VelocityField
from vaegen_training.prior.generator import Contest, FeatureGenerator, GeneratorObjective

__all__ = [
    "Contest",
    "Examples",
    "FeatureGenerator",
    "FeatureSpace",
    "FlowObjective",
    "GeneratorObjective",
    "Prior",
    "VelocityField",
]
