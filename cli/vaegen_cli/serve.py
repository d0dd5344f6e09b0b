"""`vaegen serve`: models on the web, for programs and for people."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import click
import vaegen
from vaegen.errors import shown
from vaegen.manifest import GRAPHS
from vaegen.process import usable_cores

from vaegen_cli.console import Console, Decorated, common_options, messages, pass_console, put, results
from vaegen_cli.libraries import load_libraries
from vaegen_cli.options import complete_models

MOST_WORKERS = 256


def _limit(flag: str, default: int, text: str, least: int = 1) -> Callable[[Decorated], Decorated]:
    """Return the option of a limit; a test compares its default with the library's, which loads numpy."""
    kind = click.IntRange(min=least)
    return click.option(flag, type=kind, default=default, show_default=True, metavar="N", help=text)


@click.command()
@click.option(
    "--model",
    "names",
    multiple=True,
    metavar="NAME|FOLDER",
    shell_complete=complete_models,
    help="A shipped model or a bundle's folder; repeatable.  [default: all that are shipped]",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, metavar="N", help="0: any that is free."
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name that requests may be for, repeatable.  [default: any; on 127.0.0.1, this machine's own]",
)
@click.option(
    "--cors", "origins", multiple=True, metavar="ORIGIN", help="Pages of this origin may read answers; * for all."
)
@_limit("--max-body", 2**24, "Bytes of a request's body.")
@_limit("--max-pixels", 2**26, "Pixels of an image that is sent.")
@_limit("--max-count", 1000, "Images of one answer.")
@_limit("--max-seconds", 30, "Until a request is answered.")
@_limit("--queue", 256, "Requests that may wait for a worker.", least=0)
@click.option(
    "--workers", type=click.IntRange(1, MOST_WORKERS), metavar="N", help="Requests at a time.  [default: one a core]"
)
@click.option(
    "--grace",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="For requests that have begun, after Ctrl-C or SIGTERM.",
)
@common_options(
    "vaegen serve",
    "vaegen serve --model joint --host 0.0.0.0 --port 80 --allow-host digits.example.org",
)
@pass_console
def serve(
    console: Console,
    names: tuple[str, ...],
    host: str,
    port: int,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
    max_body: int,
    max_pixels: int,
    max_count: int,
    max_seconds: int,
    queue: int,
    workers: int | None,
    grace: int,
) -> None:
    """Serve models on the web.

    GET /sample?digit=3&color=red answers with the file that `vaegen sample --digit 3 --color red` writes, byte for
    byte; POST /reconstruct, /encode and /decode take an image or latents. /openapi.json describes all of it, and / is
    a page to explore the models.

    Prints the address once it listens. Requests are logged on stderr, but for -q. Only this machine reaches it, unless
    --host says otherwise; then whoever reaches the port can use it. Ctrl-C or SIGTERM ends it, after the requests that
    have begun.
    """
    from vaegen.server import LOCAL, Limits, address, app, is_local, listen, run

    load_libraries()
    limits = Limits(max_body, max_pixels, max_count, max_seconds, queue, workers or usable_cores())
    known = tuple(hosts) or ((*LOCAL, host) if is_local(host) else None)
    with contextlib.ExitStack() as stack:
        models = [stack.enter_context(vaegen.load(name, warm_up=GRAPHS)) for name in names or vaegen.models()]
        application = app(models, limits, hosts=known, origins=origins)
        listening = stack.enter_context(listen(host, port))
        stack.enter_context(_log(console))
        if not is_local(host):
            console.say(
                f"vaegen: warning: whoever reaches port {listening.getsockname()[1]} of this machine can use the "
                "server, which asks for no password; see docs/serve.md"
            )
        if results().present:
            put(address(listening))
        run(application, listening, grace=grace)
        console.say("vaegen: stopped")


@contextlib.contextmanager
def _log(console: Console) -> Iterator[None]:
    """Show on stderr what the server logs, a line for each request; of a bug its last line, with --debug all."""

    class OneLine(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            text = super().format(record)
            return "\n".join(map(shown, text.split("\n"))) if console.debug else shown(text)

        def formatException(self, exc_info: Any) -> str:  # noqa: N802, logging's name
            text = super().formatException(exc_info)
            return text if console.debug else text.splitlines()[-1]

    handler = logging.StreamHandler(messages())
    handler.setFormatter(OneLine("%(asctime)s %(message)s"))
    handler.setLevel(logging.INFO if console.verbosity >= 0 else logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("vaegen.server", "uvicorn")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
