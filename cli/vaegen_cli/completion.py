"""`vaegen completion`: the script that teaches a shell the verbs, options, models and file names."""

import click
from click.shell_completion import get_completion_class

from vaegen_cli.options import common_options, with_examples

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
@click.pass_context
@with_examples(
    "vaegen completion bash",
    "vaegen completion fish",
)
def completion(context: click.Context, shell: str) -> None:
    """Print a shell's completion script.

    \b
    To have it in every new shell:
      bash   vaegen completion bash > ~/.vaegen.bash; echo '. ~/.vaegen.bash' >> ~/.bashrc
      zsh    vaegen completion zsh > ~/.vaegen.zsh; echo '. ~/.vaegen.zsh' >> ~/.zshrc (after compinit)
      fish   vaegen completion fish > ~/.config/fish/completions/vaegen.fish
    The script asks this command for the choices, so it need not be made again after an upgrade. bash 4.4 or newer.
    """  # noqa: D301, click takes the character itself
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    # The name of the variable is click's own convention for a program called vaegen.
    click.echo(kind(context.find_root().command, {}, "vaegen", "_VAEGEN_COMPLETE").source())
