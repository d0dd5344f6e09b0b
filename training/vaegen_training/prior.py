"""The second stage: p(latent | digit, rgb), so that a label-free VAE answers `--color red --digit 3`.

A conditional flow models the encoder's features; the VAE's own posterior heads turn drawn features into latents.
So the latents are distributed as the aggregated posterior, for Gaussian and categorical latents alike, and one
family of priors serves all three models. Where the model codes the color apart, the color's posterior is known
exactly from rgb and the flow models the shape alone.
"""

import math

import torch
from torch import Tensor, nn
from vaegen.spec import CHANNELS, DIGITS

from vaegen_training import latents
from vaegen_training.config import PriorConfig
from vaegen_training.models import Vae

MAX_LOG_SCALE = 2.0
"""Bound of one coupling's log-scale: a factor of 7.4 either way keeps the inverse well conditioned."""


class Coupling(nn.Module):
    """One affine coupling (Dinh et al. 2017, "Density estimation using Real NVP", eq. 7 and 8), conditioned."""

    def __init__(self, size: int, context: int, hidden: int) -> None:
        super().__init__()
        self.kept = size // 2
        moved = size - self.kept
        self.net = nn.Sequential(
            nn.Linear(self.kept + context, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, 2 * moved),
        )
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)  # starts as the identity
        nn.init.zeros_(last.bias)

    def coefficients(self, kept: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Give log-scale and shift, (n, moved) each, from the kept half and the context."""
        log_scale, shift = self.net(torch.cat([kept, context], dim=1)).chunk(2, dim=1)
        return MAX_LOG_SCALE * torch.tanh(log_scale / MAX_LOG_SCALE), shift


class ConditionalFlow(nn.Module):
    """p(features | digit, rgb): affine couplings between fixed permutations, over standardised features."""

    permutations: Tensor
    inverses: Tensor
    center: Tensor
    scale: Tensor

    def __init__(self, size: int, config: PriorConfig, *, use_color: bool) -> None:
        super().__init__()
        self.size = size
        self.use_color = use_color
        context = DIGITS + (2 * CHANNELS if use_color else 0)
        # A flow over one feature has nothing to couple; SeedVae and FactoredVae never have fewer than 2.
        self.couplings = nn.ModuleList(Coupling(size, context, config.hidden) for _ in range(config.couplings))
        shuffler = torch.Generator().manual_seed(size)
        permutations = torch.stack([torch.randperm(size, generator=shuffler) for _ in self.couplings])
        self.register_buffer("permutations", permutations)
        self.register_buffer("inverses", permutations.argsort(dim=1))
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def standardise(self, features: Tensor) -> None:
        """Take mean and standard deviation from features (n, F) of the training set."""
        self.center.copy_(features.mean(0))
        self.scale.copy_(features.std(0).clamp_min(1e-4))

    def context(self, digit: Tensor, rgb: Tensor) -> Tensor:
        """Turn digit int64 (n,) and rgb float32 (n, 3) into the couplings' context."""
        one_hot = (digit[:, None] == torch.arange(DIGITS, device=digit.device)).to(rgb.dtype)
        # Squares let the first layer bend: the features of a color are no linear function of it.
        return torch.cat([one_hot, rgb, rgb.square()], dim=1) if self.use_color else one_hot

    def log_prob(self, features: Tensor, context: Tensor) -> Tensor:
        """Log-density of standardised features (n, F), nats, (n,)."""
        x = features
        log_det = torch.zeros(len(x), device=x.device)
        for coupling, permutation in zip(self.couplings, self.permutations, strict=True):
            assert isinstance(coupling, Coupling)
            x = x[:, permutation]
            kept, moved = x[:, : coupling.kept], x[:, coupling.kept :]
            log_scale, shift = coupling.coefficients(kept, context)
            x = torch.cat([kept, moved * torch.exp(log_scale) + shift], dim=1)
            log_det = log_det + log_scale.sum(1)
        return log_det - 0.5 * (x.square() + math.log(2 * math.pi)).sum(1)

    def sample(self, noise: Tensor, context: Tensor) -> Tensor:
        """Turn standard normal noise (n, F) into features (n, F): the exact inverse of `log_prob`'s path."""
        x = noise
        for index in reversed(range(len(self.couplings))):
            coupling = self.couplings[index]
            assert isinstance(coupling, Coupling)
            kept, moved = x[:, : coupling.kept], x[:, coupling.kept :]
            log_scale, shift = coupling.coefficients(kept, context)
            x = torch.cat([kept, (moved - shift) * torch.exp(-log_scale)], dim=1)[:, self.inverses[index]]
        return x * self.scale + self.center


class Prior(nn.Module):
    """From (digit, rgb, noise, temperature) to a latent; what `prior.onnx` holds."""

    def __init__(self, vae: Vae, flow: ConditionalFlow) -> None:
        super().__init__()
        self.vae = vae
        self.flow = flow

    @property
    def noise_size(self) -> int:
        """S: a uniform for each feature, each Gaussian coordinate and each categorical."""
        return self.flow.size + self.vae.spec.continuous + self.vae.spec.categorical[0]

    def forward(self, digit: Tensor, rgb: Tensor, uniform: Tensor, temperature: Tensor) -> Tensor:
        """Draw latents.

        Args:
            digit: int64 (n,), 0 to 9.
            rgb: float32 (n, 3) in [0, 1].
            uniform: float32 (n, S) in (0, 1).
            temperature: float32 scalar in (0, 1]: scales the standard deviation of all Gaussian noise and
                divides the logits.

        Returns:
            float32 (n, L).
        """
        spec, split = self.vae.spec, self.flow.size + self.vae.spec.continuous
        noise = latents.normal(uniform[:, :split]) * temperature
        features = self.flow.sample(noise[:, : self.flow.size], self.flow.context(digit, rgb))
        posterior = self.vae.posterior(features, rgb)
        parts = []
        if posterior.mean is not None and posterior.log_variance is not None:
            parts.append(posterior.mean + torch.exp(0.5 * posterior.log_variance) * noise[:, self.flow.size :])
        if posterior.logits is not None:
            parts.append(invert_cdf(posterior.logits / temperature, uniform[:, split:]))
        assert spec.size == sum(part.shape[1] for part in parts)
        return torch.cat(parts, dim=1)


def invert_cdf(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw one-hots with one uniform for each variable, where Gumbel noise takes K.

    Args:
        logits: float32 (n, N, K).
        uniform: float32 (n, N) in (0, 1).

    Returns:
        float32 (n, N*K), one-hot: class k where the cumulative probability first reaches the uniform.
    """
    # Held against the sum itself, and a little below it: rounding must not draw the last class, however unlikely.
    # Not written as a product with 1 - 2^-18, which torch's exporter takes for 1 and leaves out.
    cumulative = torch.exp(logits - logits.amax(dim=-1, keepdim=True)).cumsum(dim=-1)
    threshold = (uniform - uniform * 2.0**-18)[:, :, None] * cumulative[:, :, -1:]
    reached = (cumulative[:, :, :-1] >= threshold).to(logits.dtype)  # (n, N, K - 1), 0..0 1..1
    ones, zeros = torch.ones_like(logits[:, :, :1]), torch.zeros_like(logits[:, :, :1])
    upper, lower = torch.cat([reached, ones], dim=-1), torch.cat([zeros, reached], dim=-1)
    return (upper - lower).flatten(1)
