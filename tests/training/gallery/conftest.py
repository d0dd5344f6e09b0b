from collections.abc import Iterator
from pathlib import Path

import pytest
from vaegen_training.evaluate import samples

TINY = Path(__file__).parents[2] / "assets" / "tiny"


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The committed bundle; read only."""
    return TINY


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    """Train classifiers on as many digits as are measured, not six times as many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "TRAINING", 1)
        yield
