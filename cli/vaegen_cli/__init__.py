"""The `vaegen` command: parse the arguments, call one library function, print what it gives back.

`--help` and `--version` answer without numpy, onnxruntime or torch: the modules of this package import
them (and whatever needs them) inside the verbs.
"""

from vaegen_cli.app import main, run

__all__ = ["main", "run"]
