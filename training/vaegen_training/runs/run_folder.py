"""A run's folder: its settings, which come first and never change; its metrics; its finished model.

::

    RUN/config.json                     the settings; another run in the same folder must have the same
    RUN/data.json                       SHA-256 of the digits, which must stay the same too
    RUN/metrics.jsonl                   losses as they went
    RUN/samples/*.png                   reconstructions and samples as they went
    RUN/*.checkpoint.safetensors        weights, averages and optimizer state of each stage
    RUN/tracking.json                   the name under which a tracker other than TensorBoard knows the run
    RUN/tensorboard/                    event files, if they are asked for; wandb has a folder of its own too
    RUN/prior.examples.safetensors      solutions of the prior's velocity field that its generator learns from
    RUN/model.safetensors               final weights of the VAE, its prior and its verifier
    RUN/summary.json                    final figures on the 10,000 test digits

All weights and the summary say which file they are of which run (`origin`), so that no two runs are ever mixed.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from vaegen.errors import ConfigError, DataError, OutputError, setting, shown
from vaegen.files import check_writable, locked_folder, read_file, write_file
from vaegen.spec import SIDE, STYLE_SHARES

from vaegen_training.config import TrainConfig
from vaegen_training.data import paint
from vaegen_training.models import weights
from vaegen_training.models.judge import JUDGE, load_judge
from vaegen_training.models.vae import FactoredVae, Vae, build
from vaegen_training.models.verifier import Verifier
from vaegen_training.prior import FeatureGenerator, FeatureSpace, Prior, VelocityField
from vaegen_training.prior.flow import STYLES

CONFIG, DATA, MODEL, SUMMARY = "config.json", "data.json", "model.safetensors", "summary.json"
EXAMPLES, CHECKPOINT = "prior.examples.safetensors", "checkpoint.safetensors"
RUN = "run"  # key of a file's `origin` in it
PROBE = 64  # test digits that a run keeps
MAX_TEXT = 2**26  # bytes of one of the JSON files


def check(folder: Path, settings: str) -> None:
    """Refuse a folder that holds anything but the run with these settings.

    Raises:
        ConfigError: It does.
        DataError: Its settings are damaged.
        OutputError: It cannot be looked into.
    """
    path = folder / CONFIG
    try:
        if path.exists():
            old, new = _flat(path, read_file(path, MAX_TEXT)), _flat(path, settings)
            for name in [*new, *old]:
                before, now = old.get(name, "missing"), new.get(name, "missing")
                if before != now:
                    raise ConfigError(
                        f"{folder} holds a run with other settings: {name} is {before!r} there and {now!r} here; "
                        f"repeat its command to go on with it, or choose another {setting('out')}"
                    )
        # Hidden files do not count: a run that is killed as it begins leaves one. Settings that were lost are written
        # anew, and what was trained with others is not taken.
        elif (
            folder.exists()
            and not (folder / DATA).exists()
            and any(not entry.name.startswith(".") for entry in folder.iterdir())
        ):
            raise ConfigError(f"{folder} is not empty and holds no run; choose another {setting('out')}")
    except OSError as error:
        raise _unusable(folder, error) from error


def _flat(path: Path, text: str | bytes) -> dict[str, Any]:
    """Return each setting of a `config.json` by its name, `vae.epochs`, but not in which words it was given."""
    try:
        parts = {key: value for key, value in json.loads(text).items() if key != "extras"}
        groups = {key: value if isinstance(value, dict) else {"": value} for key, value in parts.items()}
        return {f"{key}.{name}".rstrip("."): value for key, group in groups.items() for name, value in group.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is damaged; remove it to go on with the settings of this command") from error


def identity(settings: str, digest: str) -> str:
    """Return what tells a run's files from those of all others: SHA-256 of its settings and its data."""
    return hashlib.sha256(json.dumps([_flat(Path(CONFIG), settings), digest], sort_keys=True).encode()).hexdigest()


def check_place(folder: Path) -> None:
    """Check, before the data are read, that a run can be written here.

    Raises:
        OutputError: It cannot.
    """
    try:
        check_writable(folder)
    except OutputError as error:
        raise OutputError(f"{error}; choose another {setting('out')}") from error


def begin(folder: Path, settings: str, digest: str, stack: ExitStack) -> None:
    """Make the folder, its settings first: with them a run that is killed can be resumed.

    Args:
        folder: The run's folder.
        settings: The text of `config.json`.
        digest: `Mnist.digest` of the data.
        stack: Keeps other processes out of the folder until it is closed.

    Raises:
        ConfigError: The folder holds a run with other settings or on other data.
        DataError: What the folder holds is damaged.
        OutputError: It cannot be made or written, or another process is at work there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locked_folder(folder))
        check(folder, settings)
        check_contents(folder, settings, digest, weight_files(settings))
        if not (folder / CONFIG).exists():
            write_file(folder / CONFIG, settings.encode(), force=True, sync=True)
        write_file(folder / DATA, (json.dumps({"sha256": digest}) + "\n").encode(), force=True, sync=True)
        samples = folder / "samples"
        with suppress(FileExistsError):
            samples.mkdir()
    except BlockingIOError as error:
        raise OutputError(f"another vaegen train is at work in {folder}; wait for its end") from error
    except OSError as error:
        raise _unusable(folder, error) from error
    if samples.is_symlink() or not samples.is_dir():
        raise DataError(f"{samples} is a link or a file, and no folder; remove it")


def check_contents(folder: Path, settings: str, digest: str, names: Sequence[str]) -> None:
    """Refuse a run on other data, and weights that are damaged, another run's, or made from others that are missing.

    Args:
        folder: The run's folder.
        settings: The text of `config.json`.
        digest: `Mnist.digest` of the data.
        names: The files of weights to look at, in their order.

    Raises:
        ConfigError: The run is on other data.
        DataError: A file cannot be used.
        OutputError: The folder cannot be looked into.
    """
    if recorded_digest(folder) not in (None, digest):
        raise ConfigError(
            f"{folder} holds a run on other digits (see {DATA} there); give its data, "
            f"or choose another {setting('out')}"
        )
    for index, name in enumerate(names):
        path = folder / name
        left = [each for each in names[index:] if (folder / each).exists()]
        try:
            if not path.exists():
                problem = f"{path} is missing"
            elif weights.read(path)[1].get(RUN) == origin(identity(settings, digest), path):
                continue
            else:
                problem = f"{path} is of another run, or of an older vaegen"
        except DataError as error:
            problem = str(error)
        if left:
            raise DataError(
                f"{problem}; remove {', '.join(left)} to train on from there, or choose another {setting('out')}"
            )


def recorded_digest(folder: Path) -> str | None:
    """Return the digest of a run's data, or None where it is not recorded.

    Raises:
        DataError: What is recorded is damaged.
        OutputError: It cannot be read.
    """
    path = folder / DATA
    if not path.exists():
        return None
    try:
        known = re.fullmatch(rb'\{"sha256": "([0-9a-f]{64})"\}\n', read_file(path, MAX_TEXT))
    except OSError as error:
        raise _unusable(folder, error) from error
    if known is None:
        raise DataError(f"{path} is damaged; remove it to go on with the data of this command")
    return known[1].decode()


def origin(run: str, path: Path) -> str:
    """Return what a file of the run with an `identity` carries under the key RUN."""
    return f"{run}/{path.name}"


def weight_files(settings: str) -> list[str]:
    """Return the names of the files with weights, in the order in which a run makes each from those before."""
    config = json.loads(settings)
    if "judge" in config:
        return [f"judge.{CHECKPOINT}", JUDGE]
    first = ["judge"] if config.get("classes") else []
    stages = [*first, "vae", *(["sharpen"] if config["sharpen"]["critic_weight"] else []), "flow"]
    checkpoints = [f"{stage}.{CHECKPOINT}" for stage in (*stages, "prior", "verifier")]
    return [*checkpoints[:-2], EXAMPLES, *checkpoints[-2:], MODEL]


def is_finished(folder: Path, settings: str) -> bool:
    """Return whether a run has come to its end, whatever has become of its files since."""
    return (folder / SUMMARY).exists() and (folder / weight_files(settings)[-1]).exists()


def resumes_from(folder: Path, settings: str) -> str:
    """Say from where a run that is interrupted will go on."""
    if (last := last_checkpoint(folder, settings)) is None:
        return "nothing is saved yet; the same command starts anew"
    return f"the same command goes on from step {last[1]} of stage {last[0]}"


def last_checkpoint(folder: Path, settings: str) -> tuple[str, int] | None:
    """Return the stage and the step from which a run goes on; None where it starts anew."""
    with suppress(DataError, OutputError):
        own = identity(settings, recorded_digest(folder) or "")
        for name in reversed(weight_files(settings)):
            if name.endswith(CHECKPOINT) and (folder / name).exists():
                meta = weights.read(folder / name)[1]
                if meta.get(RUN) == origin(own, folder / name):
                    return name.removesuffix(f".{CHECKPOINT}"), meta["step"]
    return None


def read_summary(folder: Path, run: str) -> dict[str, Any]:
    """Return the final figures of a finished run.

    Args:
        folder: The run's folder.
        run: Its `identity`.

    Raises:
        DataError: They are damaged or another run's.
    """
    path = folder / SUMMARY
    try:
        figures = dict(json.loads(read_file(path, MAX_TEXT)))
        own = figures.pop(RUN) == origin(run, path)
        if own and all(math.isfinite(figures[name]) for name in figures.keys() - {"seconds"}) and figures["n"] > 0:
            return figures
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        pass
    raise DataError(f"{path} is damaged or another run's; remove it and run the same command again to have it anew")


def _unusable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder} cannot hold a run ({error.strerror}); choose another {setting('out')}")


class MetricsLog:
    """`metrics.jsonl`: one line for each stage and interval."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.path = folder / "metrics.jsonl"
        self.stage = stage

    def keep_until(self, step: int) -> None:
        """Drop this stage's lines from beyond `step`: a killed run wrote them after its last checkpoint.

        Raises:
            DataError: There are other lines than a run writes.
        """
        kept = []
        try:
            text = read_file(self.path, MAX_TEXT).decode(errors="replace") if self.path.exists() else ""
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}; remove it to go on without") from error
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            try:
                facts = json.loads(line)
                if facts["stage"] != self.stage or int(facts["step"]) <= step:
                    kept.append(json.dumps(facts) + "\n")
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
                if line.endswith("\n"):  # else a kill cut it short
                    raise DataError(f"{self.path} is damaged in line {number}; remove it to go on without") from error
        write_file(self.path, "".join(kept).encode(), force=True, sync=True)

    def write(self, step: int, images: int, means: Mapping[str, float]) -> None:
        """Add one line: means over the interval that ends at `step`."""
        # Appended and not synced: a sync takes 10 ms, and what a power cut takes from here is written again.
        with self.path.open("a") as file:
            file.write(json.dumps({"stage": self.stage, "step": step, "images": images, **means}) + "\n")


@dataclass(frozen=True)
class Run:
    """A finished run's model, on the CPU, in evaluation mode, and what an export of it needs besides."""

    config: TrainConfig
    vae: Vae
    prior: Prior
    verifier: Verifier
    style: Tensor | None
    """float32 (2, 11), quantiles of slant and thickness (see `vaegen.spec.Style`); None where the prior takes none."""
    probe: Tensor
    """float32 (m, 784) in [0, 1], gray test digits for the gate of an export."""


def build_networks(config: TrainConfig) -> tuple[Vae, VelocityField, FeatureGenerator]:
    """Build the VAE and the two networks of its prior with the starting weights of a run."""
    torch.default_generator.manual_seed(config.seed)
    vae = build(config.model)
    if isinstance(vae, FactoredVae):
        vae.reader.load_state_dict(load_judge().state_dict())
    space = _space(vae, config)
    return vae, VelocityField(space, config.prior), FeatureGenerator(space, config.prior)


def load_run(folder: Path) -> Run:
    """Load a finished run's model.

    Raises:
        DataError: The folder holds no finished run, or a damaged one.
    """
    path = folder / MODEL
    if not path.is_file():
        state = "is not finished; run its vaegen train command again" if (folder / CONFIG).exists() else "holds no run"
        raise DataError(f"{folder} {state}")
    advice = "remove it and run its vaegen train command again"
    try:
        tensors, meta = weights.read(path)
    except DataError as error:
        raise DataError(f"{error}; {advice}") from error
    try:
        config = TrainConfig.from_json(json.dumps(meta["config"]))
        settings = folder / CONFIG
        if settings.exists() and config != TrainConfig.from_json(read_file(settings, MAX_TEXT).decode()):
            raise DataError(f"{path} was trained with other settings than {CONFIG} beside it has")
        # Without memory for weights first: settings that are far too large for the file would take all there is.
        with torch.device("meta"):
            vae, network, verifier = _networks(config)
    except OSError as error:
        raise DataError(f"{settings} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError) as error:
        raise DataError(f"{path} holds no usable settings: {shown(str(error))}") from error
    probe = tensors.pop("probe", torch.empty(0))
    if probe.dtype != torch.uint8 or probe.shape[1:] != (SIDE, SIDE) or not 0 < len(probe) <= PROBE:
        raise DataError(f"{path} holds no real digits for an export's gate")
    parts: dict[str, nn.Module] = {"vae": vae, "generator": network, "verifier": verifier}
    like = {f"{part}.{name}": each for part, module in parts.items() for name, each in module.state_dict().items()}
    if network.space.use_style:
        like["style"] = torch.empty(STYLES, len(STYLE_SHARES))
    weights.check(path, tensors, like)
    vae, network, verifier = _networks(config)
    vae.load_state_dict(weights.under(tensors, "vae."))
    network.load_state_dict(weights.under(tensors, "generator."))
    verifier.load_state_dict(weights.under(tensors, "verifier."))
    prior = Prior(vae, network).eval()  # and with it the VAE
    return Run(config, vae, prior, verifier.eval(), tensors.get("style"), paint.to_float(probe))


def _networks(config: TrainConfig) -> tuple[Vae, FeatureGenerator, Verifier]:
    """Build the networks of a finished model; their weights are to be loaded."""
    vae = build(config.model)
    return vae, FeatureGenerator(_space(vae, config), config.prior), Verifier()


def _space(vae: Vae, config: TrainConfig) -> FeatureSpace:
    return FeatureSpace(vae.feature_size, use_color=not vae.separate_color, use_style=config.prior.style_given > 0)
