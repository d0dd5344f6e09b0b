"""`vaegen explore`: models on a page of their own."""

from pathlib import Path

import click
import vaegen
from vaegen.errors import RequestError

from vaegen_cli.console import Console, common_options, echo_written, pass_console
from vaegen_cli.options import complete_models, force_option
from vaegen_cli.output import PIPE, check_targets, refuse_terminal, write

PAGE = "explorer.html"


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    default=[vaegen.DEFAULT_MODEL],
    show_default=True,
    metavar="NAME|FOLDER",
    shell_complete=complete_models,
    help="A shipped model or a bundle's folder; repeatable.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    metavar="FILE.html|-",
    help="Write the page there, or to stdout.  [default: a temporary folder, and open it]",
)
@force_option
@common_options(
    "vaegen explore",
    "vaegen explore --model joint --model discrete -o page.html",
)
@pass_console
def explore(console: Console, models: tuple[str, ...], out: str | None, force: bool) -> None:
    """Explore models in a browser, on a page that is one file.

    The page draws digits, moves through the latent space around them, and reads what you draw. It holds all it needs,
    3.5 MB with one model: it opens from a disk, in a mail or from any web server, without a network, in Chrome,
    Firefox and Safari of the last two years.

    Without -o, opens the page in your browser from a temporary folder. Prints its path.
    """
    target = None
    if out == PIPE:
        refuse_terminal("a page")
    elif out is not None:
        if Path(out).suffix.lower() != ".html":
            raise RequestError(f"output {out!r} does not end in .html; name a file such as page.html")
        target = Path(out)

    from vaegen.explorer import explorer_page

    page = explorer_page(models)
    if target is not None:
        check_targets([target], force=force, by="-o")
    if out is not None:
        write(target, page, force=force)
        if target is not None:
            echo_written(target)
        return

    import tempfile
    import webbrowser

    target = Path(tempfile.mkdtemp(prefix="vaegen-")) / PAGE
    write(target, page, force=False)
    echo_written(target)
    if webbrowser.open(target.as_uri()):
        console.say("where the browser finds no such file, it may not read temporary ones: give -o page.html")
    else:
        console.say("no browser can be opened here; open this file in one, or give -o page.html")
