"""Randomness as a function of (seed, purpose, step)."""

import itertools

import torch
from vaegen_training.randomness import generator

CPU = torch.device("cpu")


def test_the_same_arguments_give_the_same_numbers_whatever_was_drawn_before() -> None:
    first = torch.rand(100, generator=generator(CPU, 7, "vae", 3))
    torch.rand(5)
    assert torch.equal(torch.rand(100, generator=generator(CPU, 7, "vae", 3)), first)


def test_seed_purpose_and_step_each_change_the_numbers() -> None:
    uses = [(seed, stage, step) for seed in (0, 1) for stage in ("vae", "prior") for step in (0, 1, 10)]
    draws = [torch.rand(100, generator=generator(CPU, *use)) for use in uses]
    for first, second in itertools.combinations(draws, 2):
        assert not torch.equal(first, second)
        assert (torch.corrcoef(torch.stack([first, second]))[0, 1]).abs() < 0.4


def test_streams_never_change_between_versions() -> None:
    # sha256("0/vae/0"): with another one, a run that was started by an older version would not end as it began.
    assert generator(CPU, 0, "vae", 0).initial_seed() == 3_589_519_092_876_513_712
