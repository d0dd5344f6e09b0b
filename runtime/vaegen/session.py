"""The one border to onnxruntime: how graphs are opened and run, and how its exceptions become ours."""

import ctypes
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vaegen.bundle import Bundle
from vaegen.errors import BundleError, RequestError, first_line
from vaegen.manifest import GRAPHS, TensorSpec, compare
from vaegen.process import ProcessLock, import_onnxruntime
from vaegen.request import check_integer

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

Array = npt.NDArray[Any]

# Batches are filled up to a multiple of this many rows, so that a row gives the same bits in any batch. Logarithms
# and others of onnxruntime's functions are computed four floats at a time (Eigen's packets on x86-64 and ARM), and
# what is left over by a scalar function whose last bit differs; with a multiple of four rows nothing is left over.
# It also stays clear of the special case of one row in matrix products.
ROWS = 4

MAX_THREADS = 256

_log = logging.getLogger("vaegen")

_DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(uint8)": "uint8", "tensor(bool)": "bool"}

# One for all models, because onnxruntime promises nothing for sessions made at the same time (its issue 27089).
_opening = ProcessLock()


class Sessions:
    """The graphs of one bundle, each opened on first use; safe to share between threads.

    A session must not cross a fork (onnxruntime issues 9800, 31961), so sessions belong to the process that
    opened them, and a child opens its own. Those that it inherits are never run there, nor destroyed.
    """

    def __init__(self, bundle: Bundle, threads: int, session_options: "SessionOptions | None" = None) -> None:
        """Open nothing yet.

        Args:
            bundle: The graphs.
            threads: Threads inside one operator, 1 to MAX_THREADS.
            session_options: Replaces all settings, `threads` included.

        Raises:
            RequestError: An impossible number of threads, or other session options than onnxruntime's.
        """
        self.bundle = bundle
        self.threads = check_integer("threads", threads, 1, MAX_THREADS)
        if session_options is not None and not hasattr(session_options, "add_session_config_entry"):
            raise RequestError(f"session_options are {session_options!r}; they must be onnxruntime.SessionOptions")
        self.session_options = session_options
        self._open: dict[tuple[int, str], _Opened] = {}
        self._closed = False

    def run(self, graph: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Run one graph on one batch.

        Args:
            graph: One of `vaegen.manifest.GRAPHS`.
            inputs: Every input of the graph; those with a batch have the same n >= 1.
            outputs: Names of the outputs wanted.

        Returns:
            The outputs in the order asked for, (n, ...) each. They lie in the session's memory, which grows by what is
            held on to and never shrinks: what outlives a call must be copied.

        Raises:
            BundleError: The graph is not usable; IntegrityError where its file was changed since loading.
            RequestError: The sessions are closed.
        """
        session = self._session(graph)
        n = next(len(value) for value in inputs.values() if value.ndim)
        inputs, missing = filled(inputs, n)
        try:
            results: list[Array] = session.run(list(outputs), inputs)
        except _backend_errors() as error:
            raise BundleError(f"{self._where(graph)}: onnxruntime failed: {first_line(error)}") from error
        for name, result in zip(outputs, results, strict=True):
            spec = self.bundle.manifest.graphs[graph].outputs[name]
            if result.dtype != spec.dtype or result.shape != (n + missing, *spec.shape[1:]):
                raise BundleError(
                    f"{self._where(graph)}: output {name} is {result.dtype} {result.shape} for {n + missing} rows; "
                    f"it must be {spec.dtype} {(n + missing, *spec.shape[1:])}"
                )
        return [result[:n] for result in results] if missing else results

    def open(self, graphs: Sequence[str]) -> None:
        """Open graphs that are not open yet.

        Raises:
            RequestError: There is no graph of that name.
            BundleError: A graph is not usable.
        """
        for graph in graphs:
            if graph not in GRAPHS:
                raise RequestError(f"unknown graph {graph!r}; choose from {', '.join(GRAPHS)}")
            self._session(graph)

    def close(self) -> None:
        """Free this process's sessions; whatever runs afterwards raises RequestError."""
        self._closed = True
        for key in [key for key in self._open if key[0] == os.getpid()]:
            self._open.pop(key, None)

    def _session(self, graph: str) -> "InferenceSession":
        if self._closed:
            raise RequestError("this model is closed; load it again")
        key = (os.getpid(), graph)
        opened = self._open.get(key)
        if opened is None:
            with _opening:
                opened = self._open.get(key)
                if opened is None:
                    opened = self._open[key] = _Opened(self._create(graph))
        return opened.session

    def _create(self, graph: str) -> "InferenceSession":
        onnxruntime = import_onnxruntime()
        options = self.session_options or default_options(self.threads)
        _force_onnx(options)
        data = self.bundle.take(graph)[1]  # and nothing else of it is kept
        try:
            # Without enable_fallback=0 a failure prints a banner to stdout and tries again.
            session: InferenceSession = onnxruntime.InferenceSession(
                data,
                sess_options=options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,
            )
        except _backend_errors() as error:
            raise BundleError(f"{self._where(graph)}: onnxruntime cannot load it: {first_line(error)}") from error
        spec = self.bundle.manifest.graphs[graph]
        compare(f"{self._where(graph)}: input", _tensors(session.get_inputs()), spec.inputs)
        compare(f"{self._where(graph)}: output", _tensors(session.get_outputs()), spec.outputs)
        _log.debug("opened %s", self._where(graph))
        return session

    def _where(self, graph: str) -> str:
        return f"'{self.bundle.path / self.bundle.manifest.graphs[graph].file}'"


class _Opened:
    """A session that only the process that opened it destroys.

    Destroying it ends its threads and waits for them. A forked child has the session and not the threads, and would
    wait forever: when it collects garbage, and at the latest when it ends.
    """

    def __init__(self, session: "InferenceSession") -> None:
        self.session = session
        self._process = os.getpid()

    # Bound here, because at the end of an interpreter the modules are emptied first.
    def __del__(
        self,
        getpid: Callable[[], int] = os.getpid,
        keep: Callable[[object], object] = ctypes.pythonapi.Py_IncRef,
        reference: Callable[[object], object] = ctypes.py_object,
    ) -> None:
        if getpid() != self._process:
            keep(reference(self.session))  # counted once more than anybody will ever let go of it


def default_options(threads: int) -> "SessionOptions":
    """Return the settings that every session of vaegen runs with; an exporter's gate should use them too.

    Args:
        threads: Threads inside one operator. 1 means the caller's own thread and no pool at all; a number is
            always set, because the default of 0 pins threads to cores and fails in containers.
    """
    onnxruntime = import_onnxruntime()
    options: SessionOptions = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # A session keeps its memory between runs. Otherwise the operating system takes it back and hands out other pages at
    # every run, which doubles the judge's time wherever malloc does not happen to keep them. Batches have at most
    # BATCH rows, and fill up to a multiple of ROWS, so little is kept, and few patterns of what is used when.
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = True
    # Idle threads of a pool would burn a whole core each while the caller does something else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    return options


def _force_onnx(options: "SessionOptions") -> None:
    """Let no model be taken for onnxruntime's own format, which it knows by "ORTM" at bytes 4 to 7 of any model."""
    key, wanted = "session.load_model_format", "ONNX"
    try:
        if options.get_session_config_entry(key) == wanted:  # set once more, it would warn on stderr
            return
    except RuntimeError:  # it is not set
        pass
    options.add_session_config_entry(key, wanted)


def _backend_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises; its own classes have no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*own, RuntimeError, ValueError, TypeError)


def _tensors(arguments: Sequence[Any]) -> dict[str, TensorSpec]:
    """Read a session's inputs or outputs; any unnamed or named size counts as the batch n."""
    return {
        argument.name: TensorSpec(
            _DTYPES.get(argument.type, argument.type),
            tuple(size if isinstance(size, int) else "n" for size in argument.shape),
        )
        for argument in arguments
    }


def filled(inputs: Mapping[str, Array], n: int) -> tuple[dict[str, Array], int]:
    """Return inputs of n rows with the last one repeated up to a multiple of ROWS, and how often; scalars stay."""
    missing = -n % ROWS
    if not missing:
        return dict(inputs), 0
    times = np.ones(n, np.intp)
    times[-1] += missing
    return {name: value.repeat(times, axis=0) if value.ndim else value for name, value in inputs.items()}, missing
