"""`vaegen train`: one folder holds one run, and running the same command again goes on where it stopped.

::

    RUN/config.json                     the settings; another run in the same folder must have the same
    RUN/metrics.jsonl, *.metrics.csv    losses as they went
    RUN/samples/*.png                   reconstructions and samples as they went
    RUN/*.checkpoint.safetensors        weights, averages and optimizer state of each stage
    RUN/prior.examples.safetensors      what the prior's velocity field teaches its generator
    RUN/model.safetensors               final weights of the VAE and its prior
    RUN/summary.json                    final figures on the 10,000 test digits
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from vaegen.errors import ConfigError, DataError

from vaegen_training import checkpoint, data, figures, judge, painter, pictures, presets
from vaegen_training.config import TrainConfig, check_seed
from vaegen_training.folder import CONFIG, begin, check
from vaegen_training.loop import Stage, run_stage
from vaegen_training.models import FactoredVae, SeedVae, build
from vaegen_training.objectives import VaeObjective
from vaegen_training.prior import (
    FeatureGenerator,
    FeatureSpace,
    FlowObjective,
    GeneratorObjective,
    Prior,
    VelocityField,
)
from vaegen_training.prior.features import painted
from vaegen_training.prior.generator import Examples, examples
from vaegen_training.processes import ALONE, Share, check_shares, joined
from vaegen_training.randomness import generator

MODEL, SUMMARY, JUDGE = "model.safetensors", "summary.json", "judge.safetensors"
EXAMPLES = "prior.examples.safetensors"
PROBE = 64  # test digits that a run keeps


@dataclass(frozen=True)
class TrainSummary:
    """What a finished run came to."""

    folder: Path
    """The run's folder."""
    figures: Mapping[str, Any]
    """Final figures; losses in nats per image."""
    seconds: float
    """Time that this call took; a resumed run's earlier time is not in it."""


def train(
    kind: str,
    *,
    preset: str = "default",
    out: str | Path,
    data_dir: str | Path | None = None,
    device: str = "auto",
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
    verify_data: bool = True,
    progress: bool = True,
) -> TrainSummary:
    """Train a model and its prior, or the judge; go on with a run that was stopped.

    In processes that torchrun started, all of which make this call, they share the work of each step, and the first
    one reads and writes the files. The result is that of one process, but for rounding.

    Args:
        kind: "continuous", "discrete", "joint" or "judge".
        preset: "default" or "seed" (not for the judge).
        out: The run's folder; made if missing.
        data_dir: Folder with MNIST's idx files; None downloads them.
        device: "auto" (CUDA if there is one), "cpu" or "cuda".
        seed: Root of all randomness; None takes the preset's.
        overrides: Settings that differ from the preset, `{"vae.epochs": "2"}`.
        verify_data: Compare the files with MNIST's checksums; off for other digits in the same format.
        progress: Show a bar on stderr, if that is a terminal.

    Raises:
        ConfigError: A setting is wrong, or the folder holds a run with other settings.
        DataError: The data or a checkpoint cannot be read.
        OutputError: The folder cannot be made or written.
        VaegenError: Another of several processes has failed.
    """
    started = time.monotonic()
    folder = Path(out)
    torch.set_flush_denormal(True)  # sparse strokes make many; they slow a CPU step by a tenth
    config, settings = _settings(kind, preset, seed, overrides or {})
    summary = folder / SUMMARY
    with joined(device) as (share, where):
        share.from_first(lambda: check(folder, settings))
        if not share.from_first(summary.exists):
            # Before the folder is made: where the data are missing, nothing is left behind.
            source = None if data_dir is None else Path(data_dir)
            mnist = share.from_first(lambda: data.load(source, verify=verify_data)).to(where)
            check_shares(_batches(config, len(mnist.train_images)), share)
            share.from_first(lambda: begin(folder, settings))
            shown = progress and share.is_first
            if config is None:
                found = _train_judge(folder, mnist, seed or 0, where, share, progress=shown)
            else:
                found = train_model(folder, config, mnist, where, share, progress=shown)
            if share.is_first:
                checkpoint.write_atomically(summary, (json.dumps(found, indent=2) + "\n").encode())
        found = share.from_first(lambda: json.loads(summary.read_text()))
    return TrainSummary(folder, found, time.monotonic() - started)


def _settings(kind: str, preset: str, seed: int | None, overrides: Mapping[str, str]) -> tuple[TrainConfig | None, str]:
    """Give a run's configuration, None for the judge, which has none, and the text of its `config.json`."""
    if kind != "judge":
        config = presets.preset(preset, kind).override(overrides)
        if seed is not None:
            config = dataclasses.replace(config, seed=seed)
        return config, config.to_json()
    if overrides:
        raise ConfigError("the judge has no settings; leave --set away")
    if preset != "default":
        raise ConfigError(f"the judge has no preset {preset!r}; leave --preset away")
    check_seed(seed or 0)
    return None, json.dumps({"judge": dataclasses.asdict(judge.JUDGE_STAGE), "seed": seed or 0}, indent=2) + "\n"


def _batches(config: TrainConfig | None, items: int) -> dict[str, int]:
    """Give the images of a step of each stage, by the setting that says so."""
    if config is None:
        return {"judge.batch": min(judge.JUDGE_STAGE.batch, items)}
    return {
        "vae.batch": min(config.vae.batch, items),
        "flow_stage.batch": min(config.flow_stage.batch, items),
        "prior_stage.batch": min(config.prior_stage.batch, config.prior.examples),
    }


def train_model(
    folder: Path,
    config: TrainConfig,
    mnist: data.Mnist,
    device: torch.device,
    share: Share = ALONE,
    *,
    progress: bool,
) -> dict[str, Any]:
    """Train the VAE, then the two networks of its prior, into an open run's folder.

    Returns:
        The final figures, in the first process.
    """
    vae, field, network = fresh(config)
    for module in (vae, field, network):
        module.to(device)
    reader = load_judge().to(device)
    items, space = len(mnist.train_images), network.space
    board = pictures.Board(mnist)
    seconds = {}

    def stage(name: str, module: nn.Module, items: int, **rest: Any) -> nn.Module:
        began = time.monotonic()
        part = Stage(name, module, items=items, **rest)
        result = run_stage(part, folder, seed=config.seed, device=device, share=share, progress=progress)
        seconds[name] = round(time.monotonic() - began, 1)
        return result

    trained = stage(
        "vae",
        vae,
        items,
        objective=VaeObjective(vae, mnist, config, reader, share),
        config=config.vae,
        preview=board.reconstructions,
    )
    assert isinstance(trained, SeedVae | FactoredVae)
    first = torch.arange(min(items, 20_000), device=device)
    space.fit(painted(trained, mnist, config, first, generator(device, config.seed, "features"))[0])
    fitted = stage(
        "flow",
        field,
        items,
        objective=FlowObjective(trained, field, space, mnist, config, share),
        config=config.flow_stage,
    )
    assert isinstance(fitted, VelocityField)
    known = _examples(folder, fitted, space, config, device, share, progress=progress)
    taught = stage(
        "prior",
        network,
        len(known.digit),
        objective=GeneratorObjective(trained, network, reader, known, config, share),
        config=config.prior_stage,
        preview=lambda module, path: board.samples(Prior(trained, module), config.prior.temperature, path),
    )
    if not share.is_first:
        return {}
    tensors = {f"vae.{name}": tensor for name, tensor in trained.state_dict().items()}
    tensors |= {f"generator.{name}": tensor for name, tensor in taught.state_dict().items()}
    # An export has no data folder; its gate needs real digits.
    tensors["probe"] = mnist.test_images[:PROBE]
    checkpoint.write(folder / MODEL, tensors, {"config": json.loads(config.to_json())})
    return {**figures.losses_on_test(trained, mnist), "seconds": seconds}


def _examples(
    folder: Path,
    field: VelocityField,
    space: FeatureSpace,
    config: TrainConfig,
    device: torch.device,
    share: Share,
    *,
    progress: bool,
) -> Examples:
    """Let the velocity field answer the generator's examples, or read what it answered before the run was stopped."""
    path = folder / EXAMPLES
    answers = share.from_first(lambda: checkpoint.read(path)[0]["target"] if path.exists() else None)
    known = examples(field, space, config, device, answers, share=share, progress=progress)
    if answers is None and share.is_first:
        checkpoint.write(path, {"target": known.target.half()}, {})
    return known


def _train_judge(
    folder: Path, mnist: data.Mnist, seed: int, device: torch.device, share: Share, *, progress: bool
) -> dict[str, Any]:
    torch.manual_seed(seed)
    module = judge.Judge().to(device)
    objective = judge.JudgeObjective(module, mnist, judge.JUDGE_STAGE, share)
    stage = Stage("judge", module, objective, judge.JUDGE_STAGE, len(mnist.train_images))
    trained = run_stage(stage, folder, seed=seed, device=device, share=share, progress=progress)
    assert isinstance(trained, judge.Judge)
    if not share.is_first:
        return {}
    # Half precision: the judge travels in every wheel, and the export stores it so anyway.
    checkpoint.write(
        folder / JUDGE, {name: tensor.half() for name, tensor in trained.state_dict().items()}, {"seed": seed}
    )
    return judge.accuracy(trained, mnist)


def fresh(config: TrainConfig) -> tuple[SeedVae | FactoredVae, VelocityField, FeatureGenerator]:
    """Build the VAE and the two networks of its prior with the starting weights of a run."""
    torch.manual_seed(config.seed)
    vae = build(config.model)
    space = FeatureSpace(vae.feature_size, use_color=not vae.separate_color)
    return vae, VelocityField(space, config.prior), FeatureGenerator(space, config.prior)


def load_run(folder: Path) -> tuple[TrainConfig, SeedVae | FactoredVae, Prior, Tensor]:
    """Load a finished run's model, on the CPU, in evaluation mode, and the real digits it keeps for an export's gate.

    Returns:
        The configuration, the VAE, its prior and float32 (m, 784) gray test digits in [0, 1].

    Raises:
        DataError: The folder holds no finished run.
        ConfigError: Its settings cannot be read.
    """
    path = folder / MODEL
    if not path.is_file():
        state = "is not finished; run its vaegen train command again" if (folder / CONFIG).exists() else "holds no run"
        raise DataError(f"{folder} {state}")
    tensors, meta = checkpoint.read(path)
    config = TrainConfig.from_json(json.dumps(meta["config"]))
    vae, _, network = fresh(config)
    vae.load_state_dict(_under(tensors, "vae."))
    network.load_state_dict(_under(tensors, "generator."))
    prior = Prior(vae, network).eval()  # and with it the VAE
    return config, vae, prior, painter.to_float(tensors["probe"])


def load_judge(folder: Path | None = None) -> judge.Judge:
    """Load a trained judge: a run's, or with None the one that comes with the package.

    Raises:
        DataError: There is none.
    """
    path = Path(__file__).with_name("assets") / JUDGE if folder is None else folder / JUDGE
    tensors, _ = checkpoint.read(path)
    module = judge.Judge()
    module.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return module.eval()


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
