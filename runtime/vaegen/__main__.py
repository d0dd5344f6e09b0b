"""`python -m vaegen` is the `vaegen` command."""

import runpy

# By name, because the library knows nothing of the command line, which is built upon it.
if __name__ == "__main__":
    runpy.run_module("vaegen_cli", run_name="__main__", alter_sys=True)
