"""Bundles on disk: finding them by name, reading each file once, and believing none of it before it is checked."""

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from vaegen import onnx_model
from vaegen.errors import BundleError, IntegrityError, RequestError, quoted
from vaegen.files import read_file
from vaegen.manifest import GRAPHS, MANIFEST, GraphSpec, Manifest, check_manifest
from vaegen.operators import check_divisions
from vaegen.spec import KINDS

SHIPPED = Path(__file__).with_name("models")  # the bundles in the wheel, a folder each
# SHA-256 of each shipped manifest, which holds those of its graphs; `python tests/security/pin.py` writes them anew.
PINNED = {
    "continuous": "1428d973475e0f7e759ff8899ccef135347e9e056d23c48c30bc3d7eebf91a42",
    "discrete": "3a24bc93600338e8afb19f9c6304b013f134a632421fa77d0e62baae11383b35",
    "joint": "10baacd5a5af3fa7c5361941b27ff2da8d9fe17c5c7a9b54e8cc446a1d9255a2",
}
MAX_GRAPH = 64 * 2**20  # bytes; sixteen times what a shipped bundle may have in all
MAX_MANIFEST = 2**20  # bytes
_RUN = "config.json"  # which a folder of `vaegen train` has from its beginning


def models() -> tuple[str, ...]:
    """Return the names of the models in this installation, in the order continuous, discrete, joint."""
    return tuple(kind for kind in KINDS if (SHIPPED / kind / MANIFEST).is_file())


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder of a bundle.

    Args:
        name_or_path: The name of a shipped model, or a bundle's folder. A plain name means the shipped model even
            where a folder of that name lies here; write "./joint" for the folder.

    Raises:
        RequestError: It is neither.
        BundleError: It looks like a path and leads to no folder.
    """
    known = ", ".join(models())
    choices = (
        f"choose from {known}, or give a bundle's folder" if known else "none is installed here, give a bundle's folder"
    )
    if not isinstance(name_or_path, str | os.PathLike):
        raise RequestError(f"unknown model {quoted(name_or_path)}; {choices}")
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and name_or_path in models():
        return SHIPPED / name_or_path
    # An empty name is not the folder one happens to be in.
    if os.fspath(name_or_path) and os.path.isdir(path):  # noqa: PTH112, Path.is_dir raises on names too long
        return path
    if name_or_path == path.name:
        raise RequestError(f"unknown model {name_or_path!r}; {choices}")
    raise BundleError(f"no bundle at '{path}': there is no such folder")


@dataclass(frozen=True)
class Bundle:
    """One model folder whose files were all read and found to be what the manifest says."""

    path: Path
    """The folder, absolute."""
    manifest: Manifest
    """What the bundle says of itself, checked to be consistent."""
    graphs: dict[str, bytes]
    """The checked bytes of each graph; whoever opens a graph takes them out, so that memory holds them once."""

    def take(self, name: str) -> tuple[onnx_model.Message, bytes]:
        """Take a graph out and read it, its file again where it was taken before.

        Returns:
            The ModelProto, and the bytes that a runtime may have; see `vaegen.onnx_model`.

        Raises:
            BundleError: The file is gone, unreadable or not usable.
            IntegrityError: The file is not the one the manifest records any more.
        """
        graph = self.manifest.graphs[name]
        data = self.graphs.pop(name, None)
        if data is None:
            data = read_graph(self.path, graph)
        where = f"'{self.path / graph.file}'"
        model, written = onnx_model.read(data, where)
        check_divisions(model, where)
        return model, written


def read(path: Path, digests: tuple[str, ...] | None = None) -> Bundle:
    """Read a bundle, each file once, and check it as a whole: nothing is computed by half a good model.

    Hashing 4 MB takes 3 ms where the processor has SHA instructions.

    Args:
        path: The folder.
        digests: What `Manifest.digests` must be, where the bundle was read before.

    Raises:
        BundleError: The folder is not a bundle, or not one this version can use.
        IntegrityError: A graph is not the one the manifest records, or the bundle not the one that was read before.
    """
    manifest = read_manifest(path)
    if digests not in (None, manifest.digests):
        raise IntegrityError(f"'{path}' holds another bundle than when it was loaded; load it again")
    graphs = {name: read_graph(path, manifest.graphs[name]) for name in GRAPHS}
    return Bundle(path.absolute(), manifest, graphs)  # a graph may be read again when the program is elsewhere


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of the bundle in a folder, and check that its graphs fit its latent spec.

    Raises:
        BundleError: The folder is not a bundle, or not one this version can use.
        IntegrityError: It is a shipped one, and not as it was shipped.
    """
    text = _read_file(path / MANIFEST, MAX_MANIFEST)
    if path.parent == SHIPPED and hashlib.sha256(text).hexdigest() != PINNED.get(path.name):
        raise IntegrityError(f"'{path / MANIFEST}' is not the one that vaegen shipped; install vaegen again")
    try:
        manifest = Manifest.from_json(text.decode("utf-8"))
        check_manifest(manifest)
    except UnicodeDecodeError as error:
        raise BundleError(f"'{path / MANIFEST}': not UTF-8 text") from error
    except BundleError as error:
        raise BundleError(f"'{path}': {error}") from error
    return manifest


def read_graph(path: Path, graph: GraphSpec) -> bytes:
    """Read one graph of the bundle in a folder.

    Raises:
        BundleError: There is no such file, or it cannot be read.
        IntegrityError: It is not the one the manifest records.
    """
    file = path / graph.file
    data = _read_file(file, MAX_GRAPH)
    if len(data) != graph.bytes or hashlib.sha256(data).hexdigest() != graph.sha256:
        raise IntegrityError(
            f"'{file}' is not the file its manifest records: damaged or tampered with; get the bundle again"
        )
    return data


def _read_file(file: Path, most: int) -> bytes:
    """Read a plain file of at most `most` bytes."""
    try:
        return read_file(file, most)
    except FileNotFoundError as error:
        if (file.parent / _RUN).is_file():
            import shlex  # which only mistakes need

            advice = f"export it first: vaegen export {shlex.quote(str(file.parent))} --out my-model"
            raise BundleError(f"'{file.parent}' is a training run, no model bundle; {advice}") from error
        raise BundleError(f"'{file.parent}' is no model bundle: it has no {file.name}") from error
    except OSError as error:
        if error.errno in (errno.EFBIG, errno.EINVAL):  # which `read_file` says in words
            raise BundleError(f"'{file}' {str(error.strerror).removeprefix('it ')}") from error
        raise BundleError(f"cannot read '{file}': {error.strerror or error}") from error
