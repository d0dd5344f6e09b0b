import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import vaegen

TINY = Path(__file__).parents[1] / "assets" / "tiny"


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The committed bundle; read only."""
    return TINY


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the committed bundle, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def model() -> vaegen.Model:
    return vaegen.load(TINY)


@pytest.fixture
def vouch() -> Callable[[Path, str, bytes], None]:
    """Replace a graph of a bundle and make the manifest vouch for it."""

    def replace(bundle: Path, graph: str, data: bytes) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text())
        manifest["graphs"][graph] |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        (bundle / f"{graph}.onnx").write_bytes(data)
        (bundle / "manifest.json").write_text(json.dumps(manifest))

    return replace
