"""`vaegen train`: one folder holds one run, and running the same command again resumes it where it stopped."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from vaegen.errors import ConfigError, DataError, setting
from vaegen.files import failure, write_file
from vaegen.spec import DIGITS

from vaegen_training import data, presets
from vaegen_training.config import TrainConfig, parse
from vaegen_training.data import Mnist
from vaegen_training.host import Interrupted, Stop, own_torch, stopped_by_signals
from vaegen_training.models import judge
from vaegen_training.runs import distributed
from vaegen_training.runs.monitor import Monitor, in_words
from vaegen_training.runs.run_folder import (
    RUN,
    SUMMARY,
    begin,
    check,
    check_contents,
    check_place,
    identity,
    is_finished,
    last_checkpoint,
    origin,
    read_summary,
    recorded_digest,
    resumes_from,
    weight_files,
)
from vaegen_training.runs.stages import train_judge, train_model
from vaegen_training.runs.tracking import check_tracker, open_tracker

SEEN = 1000  # test images by which data are told from digits
READABLE = 0.5  # share of them that a judge reads; of other things it reads some 10%


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
    overrides: Mapping[str, object] | None = None,
    verify_data: bool = True,
    track: str | None = None,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> TrainSummary:
    """Train a model and its prior, or the judge; resume a run that was stopped.

    In the main thread Ctrl-C, SIGTERM and SIGHUP save a checkpoint and end the run; afterwards the program's own
    handlers are back.

    In processes that torchrun started, all of which make this call, each computes its part of every batch, and the
    first one writes the files.

    Args:
        kind: "continuous", "discrete", "joint" or "judge".
        preset: "default" or "seed" (not for the judge).
        out: The run's folder; made if missing.
        data_dir: Folder with MNIST's idx files; None downloads them.
        device: "auto" (CUDA if there is one), "cpu" or "cuda".
        seed: Root of all randomness; None takes the preset's.
        overrides: Settings that differ from the preset, `{"vae.epochs": 2}`, or texts of them.
        verify_data: Compare the files with MNIST's checksums; off for other digits in the same format. Where the
            setting `classes` names other classes, they are never compared.
        track: Where curves and sample grids are shown besides: "tensorboard", "trackio", "wandb" or "mlflow".
        progress: Show a bar on stderr, if that is a terminal.
        say: Takes lines for people: how long it will take, where to look.

    Raises:
        Interrupted: A signal came; a KeyboardInterrupt that says from where the same call will go on.
        ConfigError: A setting is wrong, or the folder holds a run with other settings or on other data.
        MissingExtraError: The tracker is not installed.
        DataError: The data or a file of the run cannot be read, or is damaged.
        OutputError: The folder cannot be made or written, or another process is at work there.
    """
    started = time.monotonic()
    folder = Path(out)
    config, settings = _settings(kind, preset, seed, overrides or {})
    if track is not None:
        check_tracker(track)
    if config is not None and config.classes:
        verify_data = False
        if data_dir is None:
            raise ConfigError(f"classes name what other data hold; give their folder: {setting('data_dir', 'FOLDER')}")
    # Sparse strokes make many denormal floats, which slow a CPU step by a tenth. Signals come last: joining the other
    # processes waits outside Python, where only the system's own way can end it.
    with (
        own_torch(flush_denormal=True),
        distributed.process_group(_device(device)) as own,
        stopped_by_signals() as stop,
    ):
        try:
            check(folder, settings)
            figures = _finished(folder, settings, data_dir, verify=verify_data)
            if figures is None:
                check_place(folder)
                # Before the folder is made: where the data are missing, nothing is left behind.
                mnist = _load(data_dir, verify=verify_data)
                check_batches(config, len(mnist.train_images))
                check_labels(mnist, digits=not verify_data and not (config and config.classes))
                watch = _Watch(track, say or (lambda _: None), bar=progress)
                figures = _train(folder, config, settings, seed or 0, mnist, own, stop, watch)
        except BaseException as error:
            if stop.number is not None:  # whatever libraries made of the exception in their midst
                raise Interrupted(f"interrupted; {resumes_from(folder, settings)}", stop.number) from error
            if isinstance(error, OSError):  # a disk that is full or fails
                raise failure(error.filename or folder, error) from error
            raise
    return TrainSummary(folder, figures, time.monotonic() - started)


def _finished(folder: Path, settings: str, data_dir: str | Path | None, *, verify: bool) -> dict[str, Any] | None:
    """Return the figures of a run that is finished on these data, else None; data that are gone it does not need."""
    if not is_finished(folder, settings):
        return None
    digest = recorded_digest(folder) if data_dir is not None and not Path(data_dir).exists() else None
    if digest is None:
        digest = _load(data_dir, verify=verify).digest
    check_contents(folder, settings, digest, weight_files(settings)[-1:])
    return read_summary(folder, identity(settings, digest))


def _train(
    folder: Path,
    config: TrainConfig | None,
    settings: str,
    seed: int,
    mnist: Mnist,
    device: torch.device,
    stop: Stop,
    watch: "_Watch",
) -> dict[str, Any]:
    """Open a run's folder, train, and close it; return the final figures."""
    run = identity(settings, mnist.digest)
    with ExitStack() as stack:
        if distributed.RANK == 0:
            begin(folder, settings, mnist.digest, stack)
        else:
            check_contents(folder, settings, mnist.digest, weight_files(settings))
        distributed.wait()  # from here on the first process changes the folder
        monitor = stack.enter_context(watch.begin(folder, config, settings, len(mnist.train_images), device))
        mnist = mnist.to(device)
        if config is None:
            figures = train_judge(folder, mnist, seed, device, run=run, stop=stop, monitor=monitor)
        else:
            figures = train_model(folder, config, mnist, device, run=run, stop=stop, monitor=monitor)
        if distributed.RANK == 0:
            text = json.dumps({**figures, RUN: origin(run, folder / SUMMARY)}, indent=2) + "\n"
            write_file(folder / SUMMARY, text.encode(), force=True, sync=True)
    return figures


@dataclass(frozen=True)
class _Watch:
    """How a run is to be watched."""

    track: str | None
    say: Callable[[str], None]
    bar: bool

    def begin(
        self, folder: Path, config: TrainConfig | None, settings: str, items: int, device: torch.device
    ) -> Monitor:
        """Say how long the run will take, and where to look; return what follows it."""
        if distributed.RANK:
            return Monitor()
        plan = presets.seconds(config, items)
        text = f"training takes about {in_words(sum(plan.values()))} on 2 CPU cores"
        text += ", less on this GPU" if device.type == "cuda" else ""
        if config is not None and not presets.has_sizes(config):
            text += ", if the networks and batches had the preset's sizes"
        if (last := last_checkpoint(folder, settings)) is not None:
            text += f"; it goes on from step {last[1]} of stage {last[0]}"
        self.say(text)
        tracker = None
        if self.track is not None:
            tracker = open_tracker(self.track, folder, json.loads(settings))
            self.say(f"curves and samples: {tracker.view}")
        return Monitor(plan, tracker=tracker, say=self.say, bar=self.bar)


def _settings(
    kind: str, preset: str, seed: int | None, overrides: Mapping[str, object]
) -> tuple[TrainConfig | None, str]:
    """Return a run's configuration, None for the judge, which has none, and the text of its `config.json`."""
    if kind != "judge":
        config = presets.preset(preset, kind).override(overrides)
        if seed is not None:
            config = dataclasses.replace(config, seed=seed)
        return config, config.to_json()
    if overrides:
        raise ConfigError("the judge has no settings and no classes; give none")
    if preset != "default":
        raise ConfigError(f"the judge has no preset {preset!r}; leave {setting('preset')} away")
    parse("seed", seed or 0)
    return None, json.dumps({"judge": dataclasses.asdict(judge.JUDGE_STAGE), "seed": seed or 0}, indent=2) + "\n"


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device {name!r}; choose from auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"there is no CUDA device; use {setting('device', 'cpu')}")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    processes, devices = distributed.LOCAL_SIZE, torch.cuda.device_count()
    if processes > devices:
        raise ConfigError(
            f"{processes} processes need a CUDA device each, and there are {devices}; "
            f"use --nproc-per-node={devices}, or {setting('device', 'cpu')}"
        )
    return torch.device("cuda")


def _load(data_dir: str | Path | None, *, verify: bool) -> Mnist:
    if data_dir is not None:
        return data.load(Path(data_dir), verify=verify)
    if distributed.RANK:
        distributed.wait()  # the first process downloads MNIST, the others find it
    mnist = data.load(verify=verify)
    if distributed.RANK == 0:
        distributed.wait()
    return mnist


def check_batches(config: TrainConfig | None, items: int) -> None:
    """Refuse batches that cannot be divided among the processes."""
    if config is None:
        batches = {"judge.batch": min(judge.JUDGE_STAGE.batch, items)}
    else:
        batches = {
            "vae.batch": min(config.vae.batch, items),
            "flow_stage.batch": min(config.flow_stage.batch, items),
            "prior_stage.batch": min(config.prior_stage.batch, config.prior.examples),
            "verifier_stage.batch": min(config.verifier_stage.batch, items),
        }
        if config.sharpen.critic_weight:
            batches["sharpen_stage.batch"] = min(config.sharpen_stage.batch, items)
    for name, images in batches.items():
        if images % distributed.SIZE:
            raise ConfigError(
                f"{name}: {images} images cannot be divided among {distributed.SIZE} processes; "
                "choose another --nproc-per-node, or another batch"
            )


def check_labels(mnist: Mnist, *, digits: bool) -> None:
    """Refuse data that lack a class; and with `digits`, those that the judge of digits cannot read.

    Raises:
        DataError: A class has no training image, or the images are no digits.
    """
    counts = torch.bincount(mnist.train_labels, minlength=DIGITS)
    if absent := (counts == 0).nonzero().flatten().tolist():
        raise DataError(
            f"no training image has the label {' or '.join(map(str, absent))}; a model has ten classes, with labels "
            f"0 to {DIGITS - 1}, and each needs images"
        )
    if digits and (read := judge.accuracy(judge.load_judge(), mnist, SEEN)["accuracy"]) < READABLE:
        raise DataError(
            f"these are no digits: a judge that learned from MNIST reads {read:.0%} of them as their labels say; name "
            f"their classes with {setting('classes', 'A,B,C,...')}"
        )
