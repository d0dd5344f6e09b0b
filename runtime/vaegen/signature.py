"""Signatures of bundles, in the format of the OpenSSF Model Signing specification and by its library, `model-signing`.

A signature lies in the bundle's folder and covers every other file there. Keys are those of elliptic curves (NIST
P-256, P-384 or P-521) in PEM files; nothing here uses the network.
"""

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from vaegen.errors import IntegrityError, MissingExtraError, RequestError

SIGNATURE = "model.sig"  # the name that the specification's own command uses
MAX_SIGNATURE = 2**20  # bytes; one of a bundle takes 3 kB


def make(folder: Path, key: str | os.PathLike[str]) -> bytes:
    """Return the signature of a bundle's folder as it is now, by the private key in a file.

    Raises:
        RequestError: The key cannot be used.
        IntegrityError: The folder holds links, or what is neither a file nor a folder.
        MissingExtraError: The extra `sign` is not installed.
    """
    library = _library()
    with _usable(key, "private"):
        signer = library.signing.Config().use_elliptic_key_signer(private_key=key)
    with tempfile.TemporaryDirectory(prefix="vaegen-") as place:
        file = Path(place, SIGNATURE)
        try:
            signer.set_hashing_config(_covered(library)).sign(folder, file)
        except ValueError as error:
            raise IntegrityError(f"cannot sign '{folder}': {error}") from error
        return file.read_bytes()


def check(folder: Path, key: str | os.PathLike[str]) -> None:
    """Check that a folder holds what the owner of the public key in a file has signed, and nothing else.

    Raises:
        RequestError: The key cannot be used.
        IntegrityError: There is no signature, another key made it, or a file was changed, added or removed.
        MissingExtraError: The extra `sign` is not installed.
    """
    library = _library()
    with _usable(key, "public"):
        verifier = library.verifying.Config().use_elliptic_key_verifier(public_key=key)
    file = folder / SIGNATURE
    if not file.is_file() or file.stat().st_size > MAX_SIGNATURE:
        raise IntegrityError(f"'{folder}' is not signed: it has no file {SIGNATURE} of at most 1 MiB")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where the library prints a warning about old signatures
            verifier.set_hashing_config(_covered(library)).verify(folder, file)
    except Exception as error:
        # The library raises what its parts happen to raise on a file that anybody may have made. Of a mismatch it
        # tells the names of all files as a list, and both digests.
        text = re.sub(r"""[][\\'"]""", "", str(error).partition(": Expected")[0])
        reason = text[:200] if isinstance(error, ValueError) else type(error).__name__
        raise IntegrityError(f"'{folder}' is not what the holder of '{key}' signed: {reason}") from error


def _library() -> ModuleType:
    try:
        import model_signing
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"signatures need the extra 'sign' ({error.name} is not installed): pip install 'vaegen[sign]'"
        ) from error
    return model_signing


def _covered(library: ModuleType) -> Any:
    """Return what is signed: all but the signature. By default the library leaves git's files out too."""
    return library.hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


@contextlib.contextmanager
def _usable(key: str | os.PathLike[str], kind: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        reason = getattr(error, "strerror", None) or error
        raise RequestError(
            f"cannot use the {kind} key '{key}' ({reason}); give an unencrypted PEM of curve P-256, P-384 or P-521"
        ) from error
