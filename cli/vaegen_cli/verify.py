"""`vaegen verify` and `vaegen sign`: whether a bundle is what it says it is, and from whom."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from vaegen.errors import RequestError

from vaegen_cli.console import Console, ExitCode, common_options, echo_written, pass_console, put
from vaegen_cli.options import complete_models, complete_sources, force_option, json_option
from vaegen_cli.pictures import names_picture, verify_picture


@click.command()
@click.argument("source", metavar="MODEL|FOLDER|PICTURE", shell_complete=complete_sources)
@click.option(
    "--model",
    metavar="NAME|FOLDER",
    shell_complete=complete_models,
    help="What made the picture.  [default: the shipped model that it names]",
)
@click.option("--key", type=click.Path(), metavar="PUBLIC.pem", help="Refuse what the owner of this key did not sign.")
@json_option
@common_options(
    "vaegen verify ./my-bundle",
    "vaegen verify red-3.png",
)
@pass_console
def verify(console: Console, source: str, model: str | None, key: str | None, as_json: bool) -> ExitCode:
    """Check a bundle closely, or make a picture anew and compare.

    Of a bundle, holds every file against its checksum and size, the manifest against its schema, the operators against
    a list of plain arithmetic (no random numbers, control flow, custom code or data in other files), the tensors
    against the latent space, and the results of a run on fixed noise against the contract: finite, in range, the same
    in every batch size, and equal to the golden outputs that torch computed at export. Lists each check; exit code 3
    when one fails. No package but the runtime is needed; with --key, which checks the signature first and goes no
    further where it does not hold, the extra 'sign': pip install 'vaegen[sign]'

    A picture of `vaegen sample`, or of `vaegen decode --latent`, says how it was made. It is made anew, and each pixel
    compared; exit code 3 where one differs, or where another bundle made it.
    """
    if names_picture(source):
        if key is not None:
            raise RequestError(f"--key is for bundles, and '{source}' is a picture; leave it out")
        result = verify_picture(source, model)
    elif model is not None:
        raise RequestError(f"--model is for pictures, and '{source}' is a model; leave it out")
    else:
        from vaegen.verification import verify as check

        result = check(source, key=key)
    if as_json:
        facts = {
            "path": str(result.path),
            "model": None if result.model is None else result.model.to_dict(),
            "ok": not result.problems,
            "checks": [asdict(one) for one in result.checks],
        }
        put(json.dumps(facts))
    else:
        for one in result.checks:
            put(f"{'ok  ' if one.problem is None else 'FAIL'}  {one.file:<14}  {one.name}")
    for one in result.problems:
        console.say(f"vaegen: {one.file}: {one.problem}", level=-1)
    if result.problems:
        return ExitCode.BAD_BUNDLE
    console.say(f"{len(result.checks)} checks passed")
    return ExitCode.DONE


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(), required=True, metavar="PRIVATE.pem", help="An elliptic-curve key, unencrypted."
)
@force_option
@common_options(
    "vaegen sign ./my-bundle --key private.pem",
    "vaegen sign ./my-bundle --key private.pem --force",
)
@pass_console
def sign(console: Console, folder: Path, key: str, force: bool) -> None:
    """Sign a bundle that passes `vaegen verify`.

    Writes model.sig into its folder, in the format of the OpenSSF Model Signing specification, and prints its path.
    The signature covers every file there; `vaegen verify --key` refuses the folder when one is changed, added or
    removed. Nothing leaves this machine. Needs the extra 'sign': pip install 'vaegen[sign]'
    """
    from vaegen.verification import sign as write

    file = write(folder, key, force=force)
    console.say(f"signed {folder}")
    echo_written(file)
