"""Loading what a model runs on, sooner than import statements and a call of `vaegen.load` in a row would."""

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vaegen_cli import interrupts

if TYPE_CHECKING:
    from vaegen import Model


@contextmanager
def loading(name_or_path: str, threads: int, graphs: Sequence[str]) -> Iterator[Callable[[], "Model"]]:
    """Load a model in another thread while this one reads its arguments and images.

    Reading, hashing and opening graphs leave Python to other threads, and importing Pillow takes as long.

    Yields:
        A function that waits for the model and returns it, or raises what `vaegen.load` raises.
    """
    done: list[Model | BaseException] = []

    def load() -> None:
        try:
            done.append(_load(name_or_path, threads, graphs))
        except BaseException as error:  # noqa: BLE001, whatever it is, `result` raises it
            done.append(error)

    def result() -> "Model":
        thread.join()
        if isinstance(done[0], BaseException):
            raise done[0]
        return done[0]

    thread = threading.Thread(target=load)  # `concurrent.futures` would take 3 ms to import
    with interrupts.AtCtrlC(tidy=False), _no_collecting():
        thread.start()
        try:
            load_libraries()
            yield result
        finally:
            thread.join()


def _load(name_or_path: str, threads: int, graphs: Sequence[str]) -> "Model":
    """Load a model as `vaegen.load` does, but read its files before an import has to wait for numpy."""
    from vaegen import bundle

    found = bundle.read(bundle.find(name_or_path))
    from vaegen.session import Sessions

    sessions = Sessions(found, threads)
    sessions.open(graphs)
    from vaegen.model import Model

    return Model(sessions)


def load_libraries(*, graphs: bool = True) -> None:
    """Import what a model runs on; without `graphs`, what a process needs that has others run it."""
    from vaegen.process import import_onnxruntime, one_blas_thread

    with interrupts.AtCtrlC(tidy=False), _no_collecting():
        with one_blas_thread():
            import numpy  # noqa: F401, ICN001
        if graphs:
            import_onnxruntime()
            from vaegen import encoding, images, model  # noqa: F401


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
