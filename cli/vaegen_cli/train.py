"""`vaegen train` and `vaegen export`: thin doors to vaegen_training and vaegen_export."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from vaegen.errors import ConfigError, MissingExtraError
from vaegen.spec import KINDS
from vaegen_training import config_file, presets
from vaegen_training.config import known

from vaegen_cli.console import Console, common_options, echo_written, pass_console, put, tell
from vaegen_cli.options import data_options, force_option, json_option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# What importing torch's side of the house can fail to find; kept equal to the extra in pyproject.toml by a test.
EXTRA = frozenset({"matplotlib", "onnx", "onnx_ir", "onnxscript", "safetensors", "torch", "torchvision", "tqdm"})


@contextmanager
def training_extra(verb: str) -> Iterator[None]:
    """Turn the absence of a package of the training extra into one clear line.

    Raises:
        MissingExtraError: Such a package is not installed. Any other missing module is a bug and passes through.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        raise MissingExtraError(
            f"{verb} needs the training extra ({package} is not installed): pip install 'vaegen[train]'"
        ) from error


def parse_overrides(pairs: Sequence[str]) -> dict[str, str]:
    """Split KEY=VALUE pairs; the training library types and checks them.

    Raises:
        ConfigError: A pair has no `=` or no key, or a key comes twice.
    """
    overrides: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {pair!r} is not KEY=VALUE; for example --set vae.epochs=5")
        if key.strip() in overrides:
            raise ConfigError(f"--set {key.strip()} is given twice")
        overrides[key.strip()] = value.strip()
    return overrides


def _names(choices: Callable[[], Iterable[str]]) -> Callable[..., list["CompletionItem"]]:
    """Return what offers names to a shell that completes."""

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list["CompletionItem"]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in choices() if name.startswith(incomplete)]

    return complete


def _presets() -> str:
    """Return the presets, a line each, for the end of the help."""
    lines = []
    for name, about in presets.ABOUT.items():
        minutes = [sum(presets.seconds(presets.preset(name, kind)).values()) / 60 for kind in KINDS]
        lines.append(f"  {name:<8} {about}: {', '.join(f'{each:.0f}' for each in minutes)} minutes")
    head = f"Presets, and how long they train on 2 CPU cores ({', '.join(KINDS)}):"
    return "\n".join(["\b", head, *lines])


@click.command(epilog=_presets())
@click.argument("kind", type=click.Choice([*KINDS, "judge"]), required=False)
@click.option(
    "--preset",
    metavar="NAME",
    shell_complete=_names(lambda: presets.ABOUT),
    help="Settings to start from, see below.  [default: default]",
)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=_names(lambda: [f"{name}=" for name in known()]),
    help="Change one setting; repeatable.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Take settings from a file: what --show prints, or some of it. --set comes after it.",
)
@click.option("--show", is_flag=True, help="Print every setting, its range and meaning, as TOML; train nothing.")
@data_options
@click.option(
    "--classes",
    metavar="A,B,C,...",
    help="Names of the ten classes of data that are no digits; skips checksums too, needs --data-dir.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Folder of this run.  [default: runs/KIND-PRESET]",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where to train."
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Random state.  [default: the preset's]")
@click.option(
    "--track",
    type=click.Choice(["tensorboard", "trackio", "wandb", "mlflow"]),
    help="Show losses, rates and sample grids there too; pip install it first.",
)
@json_option
@common_options(
    "vaegen train joint --data-dir data/mnist",
    "vaegen train discrete --preset seed --set vae.epochs=5 --out runs/short",
)
@pass_console
def train(
    console: Console,
    kind: str | None,
    preset: str | None,
    pairs: tuple[str, ...],
    config: Path | None,
    show: bool,
    data_dir: Path | None,
    no_verify: bool,
    classes: str | None,
    out: Path | None,
    device: str,
    seed: int | None,
    track: str | None,
    as_json: bool,
) -> None:
    """Train a model, or the judge that models learn from.

    Prints the run's folder, for `vaegen export`. Run the same command again to
    resume a run that was stopped; it ends with the same weights. Needs the training extra:
    pip install 'vaegen[train]'
    """
    given = config_file.Given(None, None, {}) if config is None else config_file.read(config)
    kind = _agreed(config, given.kind, kind)
    preset = _agreed(config, given.preset, preset) or "default"
    if kind is None:
        raise ConfigError(f"no model is named; give {', '.join(KINDS)} or judge, or a --config that names one")
    overrides = {**given.settings, **parse_overrides(pairs)}
    if classes is not None:
        overrides["classes"] = classes
    if kind != "judge":  # refused in milliseconds, before torch is loaded
        settings = presets.preset(preset, kind).override(overrides | ({} if seed is None else {"seed": seed}))
        if show:
            put(config_file.to_toml(settings), nl=False)
            return
    elif show:
        raise ConfigError("the judge has no settings to show")
    run = out or Path("runs") / f"{kind}-{preset}"
    try:
        with training_extra("train"):
            import vaegen_training

            summary = vaegen_training.train(
                kind,
                preset=preset,
                out=run,
                data_dir=data_dir,
                device=device,
                seed=seed,
                overrides=overrides,
                verify_data=not no_verify,
                track=track,
                progress=console.live,
                say=console.say,
            )
            rank = vaegen_training.RANK
    except KeyboardInterrupt as error:
        number = getattr(error, "number", None)
        if number is None:  # it came before the run began
            raise
        if vaegen_training.RANK == 0:
            tell(f"vaegen: {error}")
        raise click.exceptions.Exit(128 + number) from error
    if rank == 0:  # of several processes the first one speaks
        console.say(f"trained {kind} in {summary.seconds:.0f} s; figures in {run / 'summary.json'}")
        put(json.dumps(asdict(summary), default=str)) if as_json else echo_written(run)


def _agreed(config: Path | None, given: str | None, asked: str | None) -> str | None:
    """Return what a file and the command line say, of which one may say nothing."""
    if given is not None and asked not in (None, given):
        raise ConfigError(f"{config} is for {given}, not {asked}; leave {asked} away, or change the file")
    return asked or given


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="BUNDLE", help="Folder of the new bundle."
)
@click.option("--name", help="The model's name in its manifest.  [default: the kind of the model]")
@force_option
@json_option
@common_options(
    "vaegen export runs/joint-default --out my-joint",
    "vaegen export runs/discrete-seed --out report --name report-discrete",
)
@pass_console
def export(console: Console, run: Path, out: Path, name: str | None, force: bool, as_json: bool) -> None:
    """Turn a training run into a bundle that runs without torch.

    Compares torch with onnxruntime on every graph and writes nothing when they differ. Prints the bundle's
    folder, for `vaegen sample --model`. Needs the training extra: pip install 'vaegen[train]'
    """
    with training_extra("export"):
        import vaegen_export

        manifest = vaegen_export.export(run, out, name=name, force=force)
    console.say(f"exported {manifest.model.name}: {manifest.size / 1e6:.2f} MB, parity within tolerance")
    put(manifest.to_json(), nl=False) if as_json else echo_written(out)
