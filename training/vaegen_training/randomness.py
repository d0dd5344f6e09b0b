"""Randomness as a function of (seed, purpose, step): a killed run goes on with the numbers it would have had."""

import hashlib

import torch


def generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """Make a generator that depends on nothing but its arguments.

    Args:
        device: Where its numbers are drawn; CPU and CUDA draw different ones.
        seed: The run's seed.
        purpose: What it is for, such as a stage's name and a step.
    """
    return torch.Generator(device).manual_seed(key(seed, *purpose))


def key(seed: int, *purpose: str | int) -> int:
    """Give the seed of the generator of a purpose, 0 to 2**63 - 1."""
    text = "/".join(map(str, (seed, *purpose))).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1
