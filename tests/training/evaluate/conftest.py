from pathlib import Path

import pytest

TINY = Path(__file__).parents[2] / "assets" / "tiny"


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The committed bundle; read only."""
    return TINY
