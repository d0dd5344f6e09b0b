"""`vaegen report`: parse, call `vaegen_training.gallery`, print."""

import json
import shlex
from contextlib import ExitStack
from pathlib import Path

import click

from vaegen_cli.console import Console, common_options, echo_written, pass_console, put
from vaegen_cli.evaluate import as_bundle
from vaegen_cli.options import complete_models, data_options, force_option, json_option, seed_option
from vaegen_cli.train import training_extra


@click.command()
@click.argument("models", metavar="MODEL|FOLDER|RUN...", nargs=-1, required=True, shell_complete=complete_models)
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="MODEL|FOLDER|RUN",
    shell_complete=complete_models,
    help="A model to show beside them; repeatable.",
)
@click.option(
    "-o",
    "--out",
    default="report",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER|FILE.md",
    help="A folder for report.md and its pictures; or a page, whose pictures go to a folder of its name.",
)
@data_options
@click.option("--n", type=int, default=3000, show_default=True, metavar="N", help="Images of each kind to measure.")
@seed_option
@force_option
@json_option
@common_options(
    "vaegen report joint --data-dir data/mnist",
    "vaegen report runs/continuous-seed runs/discrete-seed runs/joint-seed --reference joint -o seed.md",
)
@pass_console
def report(
    console: Console,
    models: tuple[str, ...],
    references: tuple[str, ...],
    out: Path,
    data_dir: Path | None,
    no_verify: bool,
    n: int,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Show what models make, in pictures and figures.

    Of one model: a wheel of colors, every digit in every color, walks from digit to digit, temperatures, the worst
    samples, reconstructions, the latent space as points and decoded, and what each latent does. Of several: the worst
    samples, reconstructions and latent spaces of each, their figures and their rates and distortions side by side.

    Prints the files written, the page first; a report that is there is replaced with --force only. Two minutes a
    model on one CPU core. Needs the training extra: pip install 'vaegen[train]'
    """
    with training_extra("report"):
        from vaegen_training.gallery import report as write

        with ExitStack() as stack:
            bundles = [stack.enter_context(as_bundle(name)) for name in (*models, *references)]
            done = write(
                bundles[: len(models)],
                out,
                references=bundles[len(models) :],
                command=_command(models, references, out, data_dir, no_verify=no_verify, n=n, seed=seed),
                data_dir=data_dir,
                n=n,
                seed=seed,
                verify_data=not no_verify,
                force=force,
                progress=console.live,
            )
    if as_json:
        put(json.dumps(done.to_dict()))
    else:
        for file in done.files:
            echo_written(file)


def _command(
    models: tuple[str, ...],
    references: tuple[str, ...],
    out: Path,
    data_dir: Path | None,
    *,
    no_verify: bool,
    n: int,
    seed: int,
) -> str:
    """Return the command line that makes the same report."""
    words = ["vaegen", "report", *models]
    for name in references:
        words += ["--reference", name]
    words += [] if data_dir is None else ["--data-dir", str(data_dir)]
    words += ["--no-verify"] if no_verify else []
    return shlex.join([*words, "--n", str(n), "--seed", str(seed), "-o", str(out)])
