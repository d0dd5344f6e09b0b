"""Checking a bundle far more closely than loading does: what `vaegen verify` runs before a bundle is trusted.

Loading holds each file against its checksum, and refuses what a bundle's graph may not hold. This also examines which
operators the graphs use and which model they claim to be, and whether they compute what the bundle's contract says, in
a process with limits of time and memory (see `vaegen.trial`). It needs neither torch nor onnx.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaegen import bundle as bundles
from vaegen import signature
from vaegen.errors import BundleError, IntegrityError, RequestError
from vaegen.files import check_free, write_file
from vaegen.manifest import GRAPHS, MANIFEST, Manifest
from vaegen.operators import check_operators
from vaegen.process import BLAS_THREADS
from vaegen.spec import ModelSpec

METADATA_KEY = "vaegen"
STEPS = ("tensors", "batch", "values", "golden", "done")
SECONDS = 60  # for the trial run of a bundle; the shipped ones take a third of a second
# Of that process: no more than this memory, no files to speak of, no core dump, and an end even if nobody waits.
LIMITS = {"RLIMIT_AS": 4 * 2**30, "RLIMIT_FSIZE": 2**20, "RLIMIT_CORE": 0, "RLIMIT_CPU": 2 * SECONDS}
# The caller's module path, handed on: what the caller can import is what runs.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from vaegen.trial import main; main()"


@dataclass(frozen=True)
class Check:
    """One check."""

    file: str
    """Name of the file in the bundle's folder."""
    name: str
    """"signature", "schema", "hash", "format", "operators", "tensors", "batch", "values" or "golden"."""
    problem: str | None
    """One line, or None where all is well."""


@dataclass(frozen=True)
class Verification:
    """All checks of one bundle."""

    path: Path
    """The bundle's folder."""
    model: ModelSpec | None
    """What the bundle says it is; None where its manifest cannot be read."""
    checks: tuple[Check, ...]
    """In the order they were made. A file that fails one is not checked further."""

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.problem is not None)


def sign(folder: Path, key: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Check a bundle, sign it with the private key in a file, and return the file of the signature.

    Raises:
        RequestError: The key cannot be used.
        BundleError: There is no such folder; an IntegrityError where what it holds does not pass `verify`.
        OutputError: It is signed already (and `force` is off), or its folder cannot be written.
        MissingExtraError: The extra `sign` is not installed.
    """
    file = bundles.find(folder) / signature.SIGNATURE
    check_free(file, force=force, other="keep it")
    for check in verify(folder).problems:
        raise IntegrityError(f"'{folder}' is not signed, for it does not pass: {check.file}: {check.problem}")
    write_file(file, signature.make(folder, key), force=force)
    return file


def verify(name_or_path: str | os.PathLike[str], *, key: str | os.PathLike[str] | None = None) -> Verification:
    """Check a whole bundle.

    - signature, where there is a key: the folder holds what the key's owner signed, and nothing else; where it does
      not, nothing further is checked;
    - schema: the manifest is one of this version, and its tensors are those its latent spec asks for;
    - hash: each graph is, byte for byte, the one the manifest records;
    - format: it is ONNX of the opset and IR version that the manifest names, all its data inside, no functions,
      subgraphs or training parts, and it names the same model as the manifest;
    - operators: only those of OPERATORS;
    - tensors: onnxruntime opens it and finds the inputs and outputs of the manifest;
    - batch: a row gives the same in batches of 1, 2, 7 and 64, within the tolerances of the export gate;
    - values: what comes out is finite and what a bundle's graphs promise (see `vaegen.contract`), from images in [0, 1]
      to a verdict that follows from the thresholds;
    - golden: on fixed inputs each output comes to the numbers that the manifest records (see `vaegen.golden`).

    Args:
        name_or_path: The name of a shipped model, or a bundle's folder.
        key: The file of a public key; see `vaegen.signature`.

    Raises:
        RequestError: No model of that name, the key cannot be used, or this program cannot start Python.
        BundleError: There is no such folder. What is wrong inside it is reported, not raised.
        MissingExtraError: A key is given and the extra `sign` is not installed.
    """
    # A frozen program would start itself once more, and some that embed Python do not say where it is.
    if getattr(sys, "frozen", False) or not sys.executable:
        raise RequestError("this program cannot start Python, which verifying a bundle takes; use the vaegen command")
    path = bundles.find(name_or_path)
    signed: list[Check] = []
    if key is not None:
        try:
            signature.check(path, key)
        except IntegrityError as error:
            return Verification(path, None, (Check(signature.SIGNATURE, "signature", str(error)),))
        signed = [Check(signature.SIGNATURE, "signature", None)]
    try:
        manifest = bundles.read_manifest(path)
    except BundleError as error:
        return Verification(path, None, (*signed, Check(MANIFEST, "schema", str(error))))
    bundle = bundles.Bundle(path, manifest, {})
    checks = {name: _record(manifest.graphs[name].file, _look_inside(bundle, name)) for name in GRAPHS}
    sound = [name for name in GRAPHS if checks[name][-1].problem is None]
    for name, found in _try_out(path, manifest, sound).items():
        checks[name] += [Check(manifest.graphs[name].file, step, problem) for step, problem in found.items()]
    all_checks = [*signed, Check(MANIFEST, "schema", None), *(check for name in GRAPHS for check in checks[name])]
    return Verification(path, manifest.model, tuple(all_checks))


def _record(file: str, steps: Iterator[str]) -> list[Check]:
    """Go through the steps, each of which names itself before it is done, up to the first that fails."""
    checks: list[Check] = []
    name = next(steps)
    try:
        for following in steps:
            checks.append(Check(file, name, None))
            name = following
    except BundleError as error:
        return [*checks, Check(file, name, str(error))]
    return [*checks, Check(file, name, None)]


def _look_inside(bundle: bundles.Bundle, name: str) -> Iterator[str]:
    """Check what one file is, without running it."""
    yield "hash"
    bundle.graphs[name] = bundles.read_graph(bundle.path, bundle.manifest.graphs[name])

    yield "format"
    (found, _), manifest = bundle.take(name), bundle.manifest
    opsets = [(entry.get("domain", ""), entry.get("version", 0)) for entry in found.get("opset_import", ())]
    if opsets != [("", manifest.opset)] or found.get("ir_version") != manifest.ir_version:
        raise BundleError(
            f"opsets {opsets} and IR {found.get('ir_version')}; "
            f"the manifest says opset {manifest.opset} and IR {manifest.ir_version}"
        )
    notes = [entry.get("value", "") for entry in found.get("metadata_props", ()) if entry.get("key") == METADATA_KEY]
    if [_metadata(text) for text in notes] != [manifest.model.to_dict()]:
        raise BundleError("its metadata names another model than the manifest; the files do not belong together")

    yield "operators"
    check_operators(found)


def _metadata(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _try_out(path: Path, manifest: Manifest, graphs: list[str]) -> dict[str, dict[str, str | None]]:
    """Run graphs in a process of its own; return for each the steps it came to, with the problem of one that failed."""
    found: dict[str, dict[str, str | None]] = {name: {} for name in graphs}
    if not graphs:
        return found
    asked = {"path": str(path.absolute()), "manifest": manifest.to_json(), "graphs": graphs, "limits": LIMITS}
    command = [sys.executable, "-c", _PROGRAM, *(str(Path(entry).absolute()) for entry in sys.path)]
    with tempfile.TemporaryDirectory(prefix="vaegen-") as empty, tempfile.TemporaryFile() as said:
        try:
            code = subprocess.run(
                command,
                input=json.dumps(asked).encode(),
                stdout=said,
                stderr=subprocess.DEVNULL,
                cwd=empty,
                env={BLAS_THREADS: "1", **os.environ},
                timeout=SECONDS,
                check=False,
            ).returncode
            end = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        except subprocess.TimeoutExpired:
            end = f"was stopped after {SECONDS} s"
        said.seek(0)
        lines = said.read().splitlines()
    graph, step = graphs[0], "tensors"
    try:
        for line in lines:
            graph, place, problem = json.loads(line)
            step = STEPS[STEPS.index(place)]
            if graph:
                found[graph][step] = None if problem is None else str(BundleError(problem))
    except (ValueError, TypeError, LookupError):
        graph, step, end = graphs[0], "tensors", "gave no answer that can be read"
    if step != "done":
        found[graph if graph in found else graphs[0]][step] = f"the process that ran it {end}"
    return found
