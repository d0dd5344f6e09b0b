"""`vaegen verify`: whether a bundle is what it says it is."""

import json
from dataclasses import asdict

import click

from vaegen_cli.console import Console, ExitCode, common_options, pass_console
from vaegen_cli.options import complete_models, json_option


@click.command()
@click.argument("model", metavar="MODEL|FOLDER", shell_complete=complete_models)
@json_option
@common_options(
    "vaegen verify continuous",
    "vaegen verify ./my-bundle --json",
)
@pass_console
def verify(console: Console, model: str, as_json: bool) -> ExitCode:
    """Check a bundle closely: files, operators, tensors and what comes out.

    Holds every file against its checksum and size, the manifest against its schema, the operators against a list of
    plain arithmetic (no random numbers, control flow, custom code or data in other files), the tensors against the
    latent space, and the results of a run on fixed noise against the contract: finite, in range, the same in every
    batch size, and equal to the golden outputs that torch computed at export. Lists each check; exit code 3 when one
    fails. No package but the runtime is needed.
    """
    from vaegen.verification import verify as check

    result = check(model)
    if as_json:
        facts = {
            "path": str(result.path),
            "model": None if result.model is None else result.model.to_dict(),
            "ok": not result.problems,
            "checks": [asdict(one) for one in result.checks],
        }
        click.echo(json.dumps(facts))
    else:
        for one in result.checks:
            click.echo(f"{'ok  ' if one.problem is None else 'FAIL'}  {one.file:<14}  {one.name}")
    for one in result.problems:
        console.say(f"vaegen: {one.file}: {one.problem}", level=-1)
    if result.problems:
        return ExitCode.BAD_BUNDLE
    console.say(f"{len(result.checks)} checks passed")
    return ExitCode.DONE
