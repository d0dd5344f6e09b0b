"""What PyInstaller asks an installed package for: the folder of its hooks (entry point `pyinstaller40`)."""

from pathlib import Path


def hook_folders() -> list[str]:
    """Return the folders that hold hooks."""
    return [str(Path(__file__).parent)]
