"""The second stage: p(latent | digit, rgb), so that a label-free VAE answers `--color red --digit 3`.

The prior models the encoder's features; the VAE's own posterior heads turn drawn features into latents. So the
latents are distributed as the aggregated posterior, for Gaussian and categorical latents alike, and one family of
priors serves all three models. Where the model codes the color apart, the color's posterior is known exactly from
rgb and the prior models the shape alone.

::

    features.py     what is modelled: standardised features, and the context that they depend on
    flow.py         first a velocity field is fitted to them by flow matching: accurate, but slow to draw from
    generator.py    then a network learns its solutions: one pass from noise to features, which is what ships
    conditional.py  features to latents; what `prior.onnx` holds
"""

from vaegen_training.prior.conditional import Prior
from vaegen_training.prior.features import FeatureSpace
from vaegen_training.prior.flow import FlowObjective, VelocityField
from vaegen_training.prior.generator import FeatureGenerator, GeneratorObjective

__all__ = ["FeatureGenerator", "FeatureSpace", "FlowObjective", "GeneratorObjective", "Prior", "VelocityField"]
