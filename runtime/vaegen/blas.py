"""numpy's BLAS, OpenBLAS, starts a thread for each core as it loads: more work than all that vaegen has for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_THREADS = "OPENBLAS_NUM_THREADS"


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy be imported with one BLAS thread, here and in processes that are started meanwhile.

    A choice of the user's own stands. The variable is put back: other libraries read it too, such as torch on ARM.
    """
    if _THREADS in os.environ:
        yield
        return
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[_THREADS]
