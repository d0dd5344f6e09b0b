"""`vaegen export`: a thin door to vaegen_export."""

from pathlib import Path

import click

from vaegen_cli.options import force_option, json_option
from vaegen_cli.settings import Settings, common_options, pass_settings, with_examples
from vaegen_cli.train import training_extra


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="BUNDLE", help="Folder of the new bundle."
)
@click.option("--name", help="The model's name in its manifest.  [default: the kind of the model]")
@click.option(
    "--judge",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run of `vaegen train judge` to ship along.  [default: the judge of this installation]",
)
@force_option
@json_option
@common_options
@pass_settings
@with_examples(
    "vaegen export runs/joint-default --out my-joint",
    "vaegen export runs/discrete-seed --out report --name report-discrete --judge runs/judge-default",
)
def export(
    settings: Settings, run: Path, out: Path, name: str | None, judge: Path | None, force: bool, as_json: bool
) -> None:
    """Turn a training run into a bundle that runs without torch.

    Compares torch with onnxruntime on every graph and writes nothing when they differ. Prints the bundle's
    folder, for `vaegen sample --model`. Needs the training extra: pip install 'vaegen[train]'
    """
    with training_extra("export"):
        import vaegen_export

        manifest = vaegen_export.export(run, out, name=name, judge=judge, force=force)
    size = sum(graph.bytes for graph in manifest.graphs.values())
    settings.say(f"exported {manifest.model.name}: {size / 1e6:.2f} MB, parity within tolerance")
    click.echo(manifest.to_json() if as_json else str(out), nl=not as_json)
