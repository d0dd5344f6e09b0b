"""From a name to a model.

The bundle is read and checked before numpy is imported, so that a program can let one thread do the first while another
does the second: each takes tens of milliseconds.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vaegen import bundle as bundles

if TYPE_CHECKING:
    from vaegen.model import Model

# An `onnxruntime.SessionOptions`. onnxruntime has no types, and a name that a type checker cannot see into would make
# `load` partially unknown to a program checked in strict mode.
SessionOptions = Any


def load(
    name_or_path: str | os.PathLike[str],
    *,
    threads: int = 1,
    session_options: SessionOptions | None = None,
    warm_up: Sequence[str] = (),
) -> "Model":
    """Load a model: read and check all its files. Graphs are opened on first use, or now if they are named.

    Args:
        name_or_path: One of `vaegen.models()`, or a bundle's folder.
        threads: Threads inside one operator, 1 to 256. For these small graphs 1 is fastest; to use more cores,
            call the model from several threads.
        session_options: An `onnxruntime.SessionOptions` that replaces all of vaegen's settings, `threads`
            included.
        warm_up: Graphs to open now, of "encoder", "sampler", "prior", "decoder" and "judge", so that a server's first
            request waits no longer than the others. `sample` needs prior, decoder and judge (no judge where tries is
            1), `reconstruct` encoder and decoder, and if stochastic the sampler.

    Raises:
        RequestError: No model or graph of that name, or an impossible number of threads.
        BundleError: The folder is no bundle, or one that cannot be used.
        IntegrityError: A file of the bundle is not the one its manifest records.
    """
    bundle = bundles.read(bundles.find(name_or_path))
    from vaegen.session import Sessions

    sessions = Sessions(bundle, threads, session_options)
    sessions.open(warm_up)
    from vaegen.model import Model

    return Model(sessions)
