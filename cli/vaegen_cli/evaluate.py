"""`vaegen evaluate`: parse, call `vaegen_training.evaluate`, print."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import vaegen
from vaegen.errors import RequestError

from vaegen_cli.console import Console, common_options, pass_console, put
from vaegen_cli.options import data_options, json_option, seed_option
from vaegen_cli.train import training_extra


@click.command()
@click.argument("models", metavar="MODEL|FOLDER|RUN...", nargs=-1, required=True)
@data_options
@click.option(
    "--n",
    type=int,
    default=10_000,
    show_default=True,
    metavar="N",
    help="Images to sample, and six times as many to train on; figures compare at equal N.",
)
@seed_option
@click.option("--record", is_flag=True, help="Write the figures into the manifest of each bundle, too.")
@json_option
@common_options(
    "vaegen evaluate continuous discrete joint --data-dir data/mnist",
    "vaegen evaluate ./my-bundle --data-dir data/mnist --record",
)
@pass_console
def evaluate(
    console: Console,
    models: tuple[str, ...],
    data_dir: Path | None,
    no_verify: bool,
    n: int,
    seed: int,
    record: bool,
    as_json: bool,
) -> None:
    """Measure shipped models, bundles or finished runs.

    First draws, samples as the bundle's judge lets them pass, reconstructions of test digits and real digits side by
    side: read by another judge that never ships, and by classifiers that are trained afresh, on samples to read real
    digits, or to tell the two apart. Then whether one latent decides the digit and the hue, and how near slant and
    thickness come to what was asked for.

    Eight minutes for one model, five for each more, on one CPU core; a tenth of that with --n 1000. The same command
    gives the same figures. --record keeps them in the bundle, for `vaegen info` and `vaegen models` to show. Needs the
    training extra: pip install 'vaegen[train]'
    """
    if record:
        for model in models:
            _check_recordable(model)
    with training_extra("evaluate"):
        from vaegen_training import evaluate as evaluation

        with ExitStack() as stack:
            bundles = [stack.enter_context(as_bundle(model)) for model in models]
            found = evaluation.evaluate(
                bundles, data_dir=data_dir, n=n, seed=seed, verify_data=not no_verify, progress=console.live
            )
        try:
            if as_json:
                dicts = [each.to_dict() for each in found]
                put(json.dumps(dicts if len(dicts) > 1 else dicts[0], indent=2))
            else:
                put("\n\n".join(map(evaluation.to_text, found)))
        finally:
            # When the figures are out, or lost: neither they nor the record is to cost the other.
            for model, each in zip(models, found, strict=True):
                if record:
                    console.say(f"recorded in {evaluation.record(Path(model), each)}")


def _check_recordable(model: str) -> None:
    """Refuse, before any work, to record the figures of anything but a bundle's folder.

    Raises:
        RequestError: It is a shipped model's name or a run.
    """
    if model in vaegen.models():
        raise RequestError(f"--record writes into a bundle's folder, not a shipped model; give a folder: ./{model}")
    if is_run(model):
        raise RequestError(
            f"--record writes into a bundle and '{model}' is a run; export it first: vaegen export {model} --out BUNDLE"
        )


def is_run(model: str) -> bool:
    """Return whether a model is a run's folder, not a bundle's folder or a shipped model's name."""
    return model not in vaegen.models() and (Path(model) / "config.json").is_file()


@contextmanager
def as_bundle(model: str) -> Iterator[str]:
    """Export a run to a temporary folder; return the name of any other model unchanged."""
    if not is_run(model):
        yield model
        return
    import vaegen_export

    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "bundle"
        vaegen_export.export(model, bundle)
        yield str(bundle)
