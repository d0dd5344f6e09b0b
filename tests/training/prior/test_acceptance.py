"""The verifier learns to read as the judge does, and what the model's own digits look like."""

import torch
from vaegen_training.data import Mnist, paint
from vaegen_training.models.color_code import measure
from vaegen_training.models.judge import load_judge
from vaegen_training.models.verifier import REALISM, Verifier
from vaegen_training.presets import preset
from vaegen_training.prior import Prior
from vaegen_training.prior.acceptance import VerifierObjective, level_scores
from vaegen_training.runs.run_folder import build_networks


def test_it_comes_to_read_real_digits_and_refuses_a_few_of_the_model_s_own(digits: Mnist) -> None:
    config = preset("default", "joint").override({"model.hidden": "32", "prior.hidden": "16"})
    vae, _, network = build_networks(config)
    torch.manual_seed(0)
    verifier = Verifier()
    random = torch.Generator().manual_seed(0)
    prior = Prior(vae, network)
    objective = VerifierObjective(verifier, prior, load_judge(), digits, config)
    optimizer = torch.optim.Adam(verifier.parameters(), lr=3e-3)
    for _ in range(160):
        losses = objective(torch.randint(1000, (100,), generator=random), random)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    level_scores(verifier, objective.samples, random)
    assert all(not each.requires_grad for each in (*vae.parameters(), *network.parameters()))
    gray = paint.to_float(digits.test_images)
    gray = gray / gray.amax(dim=1, keepdim=True)
    with torch.no_grad():
        logits, realism = verifier.network(gray)
        uniform = torch.rand(len(gray), prior.noise_size, generator=random)
        image = vae.decode(prior(digits.test_labels, torch.ones(len(gray), 3), uniform, torch.tensor(1.0)))
        _, made = verifier.network(measure(image)[0])
    assert (logits.argmax(1) == digits.test_labels).float().mean() > 0.8
    own, made = (scores.gather(1, digits.test_labels[:, None]) for scores in (realism, made))
    assert (own >= REALISM).float().mean() > 0.9
    assert own.quantile(0.05) > made.quantile(0.95)
    assert 0.01 < (made < REALISM).float().mean() < 0.1
