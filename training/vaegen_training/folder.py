"""A run's folder: its settings come first and never change, so that the run can be gone on with, and only it."""

from pathlib import Path

from vaegen.errors import ConfigError, OutputError

from vaegen_training import checkpoint

CONFIG = "config.json"


def check(folder: Path, settings: str) -> None:
    """Refuse a folder that holds anything but this run.

    Raises:
        ConfigError: It does.
        OutputError: It cannot be looked into.
    """
    path = folder / CONFIG
    try:
        if path.exists():
            if path.read_bytes() != settings.encode():
                raise ConfigError(
                    f"{folder} holds a run with other settings (see {CONFIG} there); "
                    "repeat its command to go on with it, or choose another --out"
                )
        # Hidden files do not count: a run that is killed as it begins leaves one.
        elif folder.exists() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise ConfigError(f"{folder} is not empty and holds no run; choose another --out")
    except OSError as error:
        raise _unusable(folder, error) from error


def begin(folder: Path, settings: str) -> None:
    """Make the folder, its settings first: with them it can be gone on with.

    Raises:
        OutputError: It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.write_atomically(folder / CONFIG, settings.encode())
        (folder / "samples").mkdir(exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder} cannot hold a run ({error.strerror}); choose another --out")
