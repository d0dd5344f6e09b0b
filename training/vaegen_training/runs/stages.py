"""The stages of a run, one after the other: from digits to a model, its prior and its verifier, or to a judge."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vaegen_training import presets
from vaegen_training.config import StageConfig, TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.data.style import style_quantiles
from vaegen_training.host import Stop
from vaegen_training.models import judge, kernels, latents, weights
from vaegen_training.models.critic import Sharpened, SharpenObjective
from vaegen_training.models.objective import VaeObjective
from vaegen_training.models.vae import FactoredVae, Vae
from vaegen_training.models.verifier import Verifier
from vaegen_training.prior import Contest, Examples, FlowObjective, GeneratorObjective, Prior
from vaegen_training.prior.acceptance import VerifierObjective, level_scores
from vaegen_training.prior.generator import FeatureGenerator, distillation_pairs
from vaegen_training.runs import distributed
from vaegen_training.runs.loop import M, Stage, generator, run_stage
from vaegen_training.runs.monitor import Monitor
from vaegen_training.runs.previews import Previews
from vaegen_training.runs.run_folder import EXAMPLES, MODEL, PROBE, RUN, build_networks, origin

FITTED = 20_000  # training digits that the features' mean and deviation are taken from


def train_model(
    folder: Path,
    config: TrainConfig,
    mnist: Mnist,
    device: torch.device,
    *,
    run: str = "",
    stop: Stop | None = None,
    monitor: Monitor | None = None,
) -> dict[str, Any]:
    """Train the VAE, its prior's two networks and the verifier, into an open run's folder; return the final figures.

    Where the data are no digits, a judge of their classes comes first, and takes the place of the judge of digits.
    """
    monitor = monitor or Monitor()
    vae, field, network = build_networks(config)
    verifier = Verifier()
    for module in (vae, field, network, verifier):
        module.to(device)
    items, space = len(mnist.train_images), network.space
    previews = Previews(mnist)
    seconds = {}
    figures: dict[str, Any] = {}

    def finish(stage: Stage[M]) -> M:
        began = time.monotonic()
        result = run_stage(stage, folder, seed=config.seed, device=device, run=run, stop=stop, monitor=monitor)
        seconds[stage.name] = round(time.monotonic() - began, 1)
        return result

    if config.classes:
        # As many steps as on MNIST, however few the images: over fewer its average would not be sure of anything.
        epochs = judge.JUDGE_STAGE.epochs * max(1.0, presets.MNIST_IMAGES / items)
        reader = finish(_judge_stage(mnist, device, replace(judge.JUDGE_STAGE, epochs=epochs)))
        figures = {"judge_accuracy": judge.accuracy(reader, mnist)["accuracy"]}
        if isinstance(vae, FactoredVae):
            vae.reader.load_state_dict(reader.state_dict())
    else:
        reader = judge.load_judge().to(device)
    objective = VaeObjective(vae, mnist, config, reader)
    vae = finish(Stage("vae", vae, objective, config.vae, items, previews.reconstructions))
    if config.sharpen.critic_weight:
        assert isinstance(vae, FactoredVae)
        both = Sharpened(vae, config.sharpen.critic_channels).to(device)
        sharpen = SharpenObjective(both, mnist, config, reader)

        def preview(module: Sharpened, path: Path) -> None:
            previews.reconstructions(module.vae, path)

        vae = finish(Stage("sharpen", both, sharpen, config.sharpen_stage, items, preview)).vae

    first = torch.arange(min(items, FITTED), device=device)
    examples = Examples(vae, mnist, config)
    space.fit(examples.draw(first, generator(device, config.seed, "features")).features)
    field = finish(Stage("flow", field, FlowObjective(field, space, examples), config.flow_stage, items))

    path = folder / EXAMPLES
    known = None
    if path.exists():
        tensors, _ = weights.read(path)
        like = torch.empty(config.prior.examples, space.size, dtype=torch.float16, device="meta")
        weights.check(path, tensors, {"target": like})
        known = tensors["target"]
    monitor.begin("examples", 1)
    pairs = distillation_pairs(
        field,
        space,
        mnist,
        config.prior,
        lambda start: generator(device, config.seed, "examples", start),
        known,
        advance=lambda solved: monitor.advance(solved / config.prior.examples),
    )
    if known is None and distributed.RANK == 0:
        weights.write(path, {"target": pairs.target.half()}, {RUN: origin(run, path)})

    def sheet(module: FeatureGenerator | Contest, path: Path) -> None:
        made = module.network if isinstance(module, Contest) else module
        previews.samples(Prior(vae, made), config.prior.temperature, path)

    taught = Contest(network).to(device) if config.prior.critic_weight else network
    guided = GeneratorObjective(vae, taught, reader, pairs, examples, config)
    taught = finish(Stage("prior", taught, guided, config.prior_stage, config.prior.examples, sheet))
    network = taught.network if isinstance(taught, Contest) else taught
    prior = Prior(vae, network)
    accept = VerifierObjective(verifier, prior, reader, mnist, config)
    verifier = finish(Stage("verifier", verifier, accept, config.verifier_stage, items))
    level_scores(verifier, accept.samples, generator(device, config.seed, "verifier", "scores"))
    if distributed.RANK == 0:
        tensors = {f"vae.{name}": tensor for name, tensor in vae.state_dict().items()}
        tensors |= {f"generator.{name}": tensor for name, tensor in network.state_dict().items()}
        tensors |= {f"verifier.{name}": tensor for name, tensor in verifier.state_dict().items()}
        if space.use_style:
            tensors["style"] = style_quantiles(mnist)
        # An export has no data folder; its gate needs real digits.
        tensors["probe"] = mnist.test_images[:PROBE]
        # The words in which settings were given make no other model.
        settings = json.loads(replace(config, extras={}).to_json())
        weights.write(folder / MODEL, tensors, {"config": settings, RUN: origin(run, folder / MODEL)})
    return {**losses_on_test(vae, mnist), **figures, "seconds": seconds}


@torch.no_grad()
def losses_on_test(vae: Vae, mnist: Mnist, batch: int = 1000) -> dict[str, Any]:
    """Measure the deterministic path on every test digit, each in its own fixed color.

    Returns:
        excess_bce (reconstruction on the deterministic path) and kl, nats per image, means over n digits.
    """
    n = len(mnist.test_images)
    colors = paint.fixed_colors(n).to(mnist.test_images.device)
    excess = kl = 0.0
    for start in range(0, n, batch):
        rows = slice(start, start + batch)
        image = paint.paint(paint.to_float(mnist.test_images[rows]), colors[rows])
        posterior = vae.encode(image)
        prediction = vae.decode(latents.deterministic(posterior))
        excess += float((kernels.bce(prediction, image) - kernels.entropy(image)).sum())
        kl += float(latents.kl_divergence(posterior).sum())
    return {"excess_bce": excess / n, "kl": kl / n, "n": n}


def train_judge(
    folder: Path, mnist: Mnist, seed: int, device: torch.device, *, run: str, stop: Stop, monitor: Monitor
) -> dict[str, Any]:
    """Train the judge, into an open run's folder; return the final figures."""
    torch.default_generator.manual_seed(seed)
    stage = _judge_stage(mnist, device, judge.JUDGE_STAGE)
    trained = run_stage(stage, folder, seed=seed, device=device, run=run, stop=stop, monitor=monitor)
    if distributed.RANK == 0:
        # Half precision: the judge travels in every wheel, and the export stores it so anyway.
        half = {name: tensor.half() for name, tensor in trained.state_dict().items()}
        weights.write(folder / judge.JUDGE, half, {"seed": seed, RUN: origin(run, folder / judge.JUDGE)})
    return judge.accuracy(trained, mnist)


def _judge_stage(mnist: Mnist, device: torch.device, config: StageConfig) -> Stage[judge.Judge]:
    module = judge.Judge().to(device)
    return Stage("judge", module, judge.JudgeObjective(module, mnist, config), config, len(mnist.train_images))
