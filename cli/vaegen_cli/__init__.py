"""The `vaegen` command: parse the arguments, call one library function, print what it gives back.

`--help` and `--version` answer without numpy, onnxruntime or torch: the modules of this package import
them (and whatever needs them) inside the verbs.
"""

from vaegen_cli import interrupts

TYPE_CHECKING = False  # `typing` itself takes longer to import than Ctrl-C may wait
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main", "run"]


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run the command line and return its exit code; see `vaegen_cli.app.main`."""
    from vaegen_cli import app

    return app.main(argv)


def run() -> "NoReturn":
    """Run the command line as the program `vaegen`, and end the process."""
    interrupts.install()  # before the imports, which take longest
    from vaegen_cli import app

    app.run()
