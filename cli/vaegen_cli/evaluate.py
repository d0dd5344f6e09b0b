"""`vaegen evaluate`: a thin door to vaegen_training.evaluation."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import vaegen

from vaegen_cli.options import Settings, common_options, json_option, pass_settings, seed_option, with_examples
from vaegen_cli.train import training_extra


@click.command()
@click.argument("model", metavar="MODEL|FOLDER|RUN")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="MNIST's four idx files, gzipped or not, or torchvision's layout.  [default: download]",
)
@click.option("--no-verify", is_flag=True, help="Take other digits in MNIST's format: skip the files' checksums.")
@click.option("--n", type=int, default=10_000, show_default=True, metavar="N", help="Images to sample.")
@seed_option
@json_option
@common_options
@pass_settings
@with_examples(
    "vaegen evaluate joint --data-dir data/mnist",
    "vaegen evaluate runs/discrete-seed --n 3000 --json",
)
def evaluate(
    settings: Settings, model: str, data_dir: Path | None, no_verify: bool, n: int, seed: int, as_json: bool
) -> None:
    """Measure a shipped model, a bundle or a finished run.

    Samples as they are first drawn and as the bundle's judge lets them pass, reconstructions of test digits and
    real digits side by side, scored by another judge that never ships, with 95% confidence intervals. A few
    minutes on 2 CPU cores; the same command gives the same figures. Needs the training extra:
    pip install 'vaegen[train]'
    """
    with training_extra("evaluate"):
        from vaegen_training import evaluation

        with _as_bundle(model) as bundle:
            found = evaluation.evaluate(
                bundle, data_dir=data_dir, n=n, seed=seed, verify_data=not no_verify, progress=settings.live
            )
        click.echo(json.dumps(found.to_dict(), indent=2) if as_json else evaluation.to_text(found))


@contextmanager
def _as_bundle(model: str) -> Iterator[str]:
    """Export a run to a folder that goes away; a bundle or a shipped model's name stays what it is."""
    if model in vaegen.models() or not (Path(model) / "config.json").is_file():
        yield model
        return
    import vaegen_export

    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "bundle"
        vaegen_export.export(model, bundle)
        yield str(bundle)
