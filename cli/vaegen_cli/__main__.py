"""`python -m vaegen_cli` is the `vaegen` command."""

from vaegen_cli import run

if __name__ == "__main__":
    run()
