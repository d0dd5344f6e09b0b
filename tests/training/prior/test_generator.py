"""The generator learns the velocity field's solutions, what the judge can read, and what a critic takes for real."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn
from vaegen_training.config import TrainConfig
from vaegen_training.data import Mnist
from vaegen_training.models.judge import load_judge
from vaegen_training.presets import preset
from vaegen_training.prior import Contest, Examples, FeatureGenerator, GeneratorObjective, Prior, VelocityField
from vaegen_training.prior.generator import DistillationPairs, distillation_pairs
from vaegen_training.runs.loop import generator
from vaegen_training.runs.run_folder import build_networks

CPU = torch.device("cpu")


def small(**changes: str) -> TrainConfig:
    settings = {"model.hidden": "32", "prior.hidden": "16", "prior.field_hidden": "16", "prior.examples": "4100"}
    settings |= {"prior.critic_weight": "0", **changes}
    return preset("default", "joint").override(settings)


def known(config: TrainConfig, digits: Mnist) -> tuple[FeatureGenerator, VelocityField, DistillationPairs]:
    _, field, network = build_networks(config)
    return network, field, solve(field, network, digits, config)


def solve(
    field: VelocityField, network: FeatureGenerator, digits: Mnist, config: TrainConfig, target: Tensor | None = None
) -> DistillationPairs:
    def random(start: int) -> torch.Generator:
        return generator(CPU, config.seed, "examples", start)

    return distillation_pairs(field, network.space, digits, config.prior, random, target)


def taught(
    config: TrainConfig, digits: Mnist, network: FeatureGenerator | Contest, pairs: DistillationPairs
) -> GeneratorObjective:
    vae = build_networks(config)[0]
    return GeneratorObjective(vae, network, load_judge(), pairs, Examples(vae, digits, config), config)


def losses(objective: GeneratorObjective, index: Tensor, progress: float, seed: int = 0) -> dict[str, Tensor]:
    objective.prepare(progress)
    return objective(index, torch.Generator().manual_seed(seed))


def test_examples_are_the_fields_answers_to_requests_of_every_digit_color_and_strength(digits: Mnist) -> None:
    config = small()
    _, field, found = known(config, digits)
    assert found.noise.shape == found.target.shape == (4100, 44)
    assert (found.digit.bincount(minlength=10) > 300).all()
    assert torch.equal(found.context[:, :10].argmax(1), found.digit)
    assert 0.45 < float(found.context[:, 10].mean()) < 0.55  # the slant is told in half of them
    assert found.rgb.amin() == 0
    assert found.rgb.amax() == 1
    strength = found.noise.std(1)
    assert float(strength.median()) == pytest.approx(0.825, abs=0.03)
    assert float(strength.min()) < 0.4
    answer = field.solve(found.noise[4000:], found.context[4000:], 5)
    torch.testing.assert_close(found.target[4000:], answer, rtol=2e-3, atol=2e-3)  # kept in half precision


def test_examples_follow_the_seed_and_can_be_read_back(digits: Mnist) -> None:
    config = small()
    network, field, found = known(config, digits)
    again = solve(field, network, digits, config, found.target.half())
    assert all(map(torch.equal, dataclasses.astuple(found), dataclasses.astuple(again)))
    other = solve(field, network, digits, dataclasses.replace(config, seed=1))
    assert not torch.equal(found.noise, other.noise)


def test_the_loss_is_the_error_to_the_answers(digits: Mnist) -> None:
    config = small(**{"prior.guidance": "0"})
    network, _, pairs = known(config, digits)
    objective, index = taught(config, digits, network, pairs), torch.arange(50, 90)
    found = losses(objective, index, 0.9)
    answer = network(pairs.noise[index], pairs.context[index])
    torch.testing.assert_close(found["loss"], (answer - pairs.target[index]).square().mean())
    assert set(found) == {"loss", "error"}


def test_guidance_begins_half_way_and_is_the_judges_cross_entropy_on_the_images(digits: Mnist) -> None:
    config = small(**{"prior.guidance": "0.3"})
    network, _, pairs = known(config, digits)
    objective, index = taught(config, digits, network, pairs), torch.arange(300)
    before = losses(objective, index, 0.49)
    assert before["loss"] == before["error"]
    found = losses(objective, index, 0.5)
    torch.testing.assert_close(found["loss"], found["error"] + 0.3 * found["cross_entropy"])
    assert float(found["cross_entropy"].detach()) > 1  # nothing is trained yet: the judge reads noise
    found["loss"].backward()
    frozen = (*objective.vae.parameters(), *objective.judge.parameters())
    assert all(parameter.grad is None for parameter in frozen)
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_guidance_makes_the_judge_see_the_digit_that_was_asked_for(digits: Mnist) -> None:
    config = small(**{"prior.guidance": "1"})
    vae, field, network = build_networks(config)
    examples = Examples(vae, digits, config)
    network.space.fit(examples.draw(torch.arange(500), torch.Generator().manual_seed(0)).features)
    pairs = solve(field, network, digits, config)
    objective = GeneratorObjective(vae, network, load_judge(), pairs, examples, config)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    course: list[Tensor] = []
    for step in range(40):
        found = losses(objective, torch.arange(256), 1.0, step)
        optimizer.zero_grad()
        found["loss"].backward()
        optimizer.step()
        course.append(found["cross_entropy"].detach())
    assert torch.stack(course[-5:]).mean() < torch.stack(course[:5]).mean()
    assert Prior(vae, network).noise_size == 44 + 35 + 25


def test_a_critic_and_the_generator_learn_from_their_own_losses(digits: Mnist) -> None:
    gradients = {}
    for weight in ("0.5", "1"):
        config = small(**{"prior.guidance": "0", "prior.critic_weight": weight})
        network, _, pairs = known(config, digits)
        torch.manual_seed(0)
        contest = Contest(network)
        objective, index = taught(config, digits, contest, pairs), torch.arange(100)
        found = losses(objective, index, 0.0)
        torch.testing.assert_close(found["loss"], found["error"] + found["critic"] + float(weight) * found["unreal"])
        found["loss"].backward()
        gradients[weight] = {name: each.grad for name, each in contest.named_parameters() if each.grad is not None}
        assert all(each.requires_grad for each in contest.critic.parameters())
    for name, gradient in gradients["1"].items():
        assert torch.equal(gradient, gradients["0.5"][name]) == name.startswith("critic."), name


def test_the_penalty_is_half_the_squared_slope_of_the_critic(digits: Mnist) -> None:
    found = []
    for penalty in ("0", "2"):
        config = small(**{"prior.critic_weight": "1", "prior.critic_penalty": penalty})
        network, _, pairs = known(config, digits)
        contest = Contest(network)
        with torch.no_grad():  # a linear critic: its slope is the same everywhere
            for each in contest.critic.parameters():
                each.zero_()
            for name, each in contest.critic.named_parameters():
                each.view(-1)[0] = 2.0 if name.endswith("weight") else 100.0
        found.append(losses(taught(config, digits, contest, pairs), torch.arange(8), 1.0)["critic"].detach())
    slope = 2.0**4
    assert float(found[1] - found[0]) == pytest.approx(2 * slope**2, rel=1e-5)  # of both sides, halved


def test_the_critic_makes_the_generator_draw_what_training_digits_show(digits: Mnist) -> None:
    config = small(**{"prior.guidance": "0", "prior.critic_weight": "1", "prior.style_given": "0"})
    vae, field, network = build_networks(config)
    examples = Examples(vae, digits, config)
    network.space.fit(examples.draw(torch.arange(1000), torch.Generator().manual_seed(0)).features)
    pairs = solve(field, network, digits, config)  # of a field that has learned nothing
    objective = GeneratorObjective(vae, Contest(network), load_judge(), pairs, examples, config)
    module = nn.ModuleList([network, objective.critic]) if objective.critic is not None else network
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3, betas=(0.0, 0.99))

    @torch.no_grad()
    def deviation() -> float:
        context = network.space.context(digits.train_labels[:1000], torch.zeros(1000, 3))
        made = network(torch.randn(1000, network.space.size, generator=torch.Generator().manual_seed(1)), context)
        return float((made.std(0) - 1).abs().mean())

    before = deviation()
    for step in range(150):
        found = losses(objective, torch.arange(2), 1.0, step)
        optimizer.zero_grad()
        (found["loss"] - found["error"]).backward()
        optimizer.step()
    assert deviation() < 0.6 * before
