"""`vaegen train` and `vaegen export`: thin doors to vaegen_training and vaegen_export."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from vaegen.errors import ConfigError, MissingExtraError
from vaegen.spec import KINDS

from vaegen_cli.console import Console, common_options, echo_written, pass_console, put, tell
from vaegen_cli.options import data_options, force_option, json_option

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


@click.command()
@click.argument("kind", type=click.Choice([*KINDS, "judge"]))
@click.option("--preset", default="default", show_default=True, metavar="NAME", help="Settings to start from.")
@data_options
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
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Change one setting of the preset; repeatable."
)
@json_option
@common_options(
    "vaegen train joint --data-dir data/mnist",
    "vaegen train discrete --preset seed --set vae.epochs=5 --out runs/short",
)
@pass_console
def train(
    console: Console,
    kind: str,
    preset: str,
    data_dir: Path | None,
    out: Path | None,
    device: str,
    seed: int | None,
    no_verify: bool,
    pairs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train a model, or the judge that models learn from.

    Prints the run's folder, for `vaegen export`. Run the same command again to
    resume a run that was stopped; it ends with the same weights. Needs the training extra:
    pip install 'vaegen[train]'
    """
    overrides = parse_overrides(pairs)
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
                progress=console.live,
            )
    except KeyboardInterrupt as error:
        number = getattr(error, "number", None)
        if number is None:  # it came before the run began
            raise
        if vaegen_training.RANK == 0:
            tell(f"vaegen: {error}")
        raise click.exceptions.Exit(128 + number) from error
    if vaegen_training.RANK == 0:  # of several processes the first one speaks
        console.say(f"trained {kind} in {summary.seconds:.0f} s; figures in {run / 'summary.json'}")
        put(json.dumps(asdict(summary), default=str)) if as_json else echo_written(run)


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
