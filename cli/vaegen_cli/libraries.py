"""Loading what a model runs on, sooner than import statements and a call of `vaegen.load` in a row would."""

import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaegen import Model


class Loading(threading.Thread):
    """A model that another thread loads; `concurrent.futures` alone would take 3 ms to import."""

    def __init__(self, name_or_path: str, threads: int, graphs: Sequence[str]) -> None:
        super().__init__()
        self._wanted = name_or_path, threads, graphs
        self._model: Model | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Load it as `vaegen.load` does, but read and check the files before the first import waits for numpy."""
        from vaegen import bundle

        name_or_path, threads, graphs = self._wanted
        try:
            found = bundle.read(bundle.find(name_or_path))
            from vaegen.session import Sessions

            sessions = Sessions(found, threads)
            sessions.open(graphs)
            from vaegen.model import Model

            self._model = Model(sessions)
        except BaseException as error:  # noqa: BLE001, whatever it is, `result` raises it
            self._error = error

    def result(self) -> "Model":
        """Wait for the model.

        Raises:
            VaegenError: As `vaegen.load` does.
        """
        self.join()
        if self._model is None:
            assert self._error is not None
            raise self._error
        return self._model


@contextmanager
def loading(name_or_path: str, threads: int, graphs: Sequence[str]) -> Iterator[Loading]:
    """Load a model in another thread while this one reads its arguments and images.

    Reading, hashing and opening graphs leave Python to other threads, and importing Pillow takes as long.

    Args:
        name_or_path: As for `vaegen.load`.
        threads: As for `vaegen.load`.
        graphs: Those to open right away.
    """
    model = Loading(name_or_path, threads, graphs)
    with _no_collecting():
        model.start()
        try:
            _import_libraries()
            yield model
        finally:
            model.join()


def load_libraries(*, graphs: bool = True) -> None:
    """Import what a model runs on; without `graphs`, what a process needs that has others run it."""
    with _no_collecting():
        if graphs:
            _import_libraries()
        else:
            _import_numpy()


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Keep Python from looking for garbage among modules, which stay: a tenth of the time to a first image."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()  # nor is it looked for there later
            gc.enable()


def _import_libraries() -> None:
    _import_numpy()
    import onnxruntime  # noqa: F401
    from vaegen import images, model  # noqa: F401


def _import_numpy() -> None:
    from vaegen.process import one_blas_thread

    with one_blas_thread():
        import numpy  # noqa: F401, ICN001
