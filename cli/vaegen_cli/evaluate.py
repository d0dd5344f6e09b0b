"""`vaegen evaluate`: a thin door to vaegen_training.evaluation."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import vaegen

from vaegen_cli.console import Console, common_options, pass_console
from vaegen_cli.options import data_options, json_option, seed_option
from vaegen_cli.train import training_extra


@click.command()
@click.argument("models", metavar="MODEL|FOLDER|RUN...", nargs=-1, required=True)
@data_options
@click.option("--n", type=int, default=10_000, show_default=True, metavar="N", help="Images to sample.")
@seed_option
@json_option
@common_options(
    "vaegen evaluate continuous discrete joint --data-dir data/mnist",
    "vaegen evaluate runs/discrete-seed --n 3000 --json",
)
@pass_console
def evaluate(
    console: Console,
    models: tuple[str, ...],
    data_dir: Path | None,
    no_verify: bool,
    n: int,
    seed: int,
    as_json: bool,
) -> None:
    """Measure shipped models, bundles or finished runs.

    Samples as they are first drawn and as the bundle's judge lets them pass, reconstructions of test digits and
    real digits side by side, scored by another judge that never ships, with 95% confidence intervals; of several
    models the headline figures in one table too. A minute a model on 2 CPU cores; the same command gives the same
    figures. Needs the training extra: pip install 'vaegen[train]'
    """
    with training_extra("evaluate"):
        from vaegen_training import evaluation

        found = []
        for model in models:
            with as_bundle(model) as bundle:
                found.append(
                    evaluation.evaluate(
                        bundle, data_dir=data_dir, n=n, seed=seed, verify_data=not no_verify, progress=console.live
                    )
                )
        if as_json:
            dicts = [each.to_dict() for each in found]
            click.echo(json.dumps(dicts if len(dicts) > 1 else dicts[0], indent=2))
        else:
            texts = [evaluation.to_text(each) for each in found]
            click.echo("\n\n".join([*texts, evaluation.to_comparison(found)] if len(texts) > 1 else texts))


def is_run(model: str) -> bool:
    """Tell a run's folder from a bundle's and from a shipped model's name."""
    return model not in vaegen.models() and (Path(model) / "config.json").is_file()


@contextmanager
def as_bundle(model: str) -> Iterator[str]:
    """Export a run to a folder that goes away; a bundle or a shipped model's name stays what it is."""
    if not is_run(model):
        yield model
        return
    import vaegen_export

    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "bundle"
        vaegen_export.export(model, bundle)
        yield str(bundle)
