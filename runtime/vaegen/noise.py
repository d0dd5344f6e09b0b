"""The one source of randomness: uniforms that are a function of (seed, attempt, item) and of nothing else.

NumPy's `Philox` is Philox 4x64-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
SC11): a counter in, four words of 64 bits out. Key word 0 is the seed, key word 1 the attempt. Item i owns
the raw words [i * W, (i + 1) * W) of that stream, whole blocks of four, so image i of a seed does not depend
on batch size, count or order. Only raw words are drawn: NumPy promises those for good, its distributions not.

For a client in another language: NumPy counts up before it draws, so block b of the stream, the words 4 * b to
4 * b + 3, is Philox of the counter b + 1. `tests/runtime/test_noise.py` has it in ten lines of plain integers,
`tests/runtime/golden.json` numbers to check against.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence

from vaegen.request import check_integer

MAX_SEED = 2**64 - 1
BLOCK = 4  # 64-bit words that one counter value gives
PER_WORD = 2  # uniforms taken from one word
BITS = 24  # of each uniform, as many as a float32 holds exactly
BELOW_ONE = np.float32(1 - 2**-BITS)  # the largest float32 below 1
CHUNK = 2**15  # words drawn at a time, 256 KiB, so that the arithmetic stays in the cache
SKIP = 2**11  # words; drawing this many for nothing is cheaper than another turn of the loop

Uniforms = npt.NDArray[np.float32]
Indices = range | Sequence[int] | npt.NDArray[np.int64]


class _Key(ISeedSequence):
    """What Philox takes its key from. Given a key, it first asks the system for entropy, which takes longer."""

    def __init__(self, *words: int) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[Any]:
        """Return the key."""
        return np.array(self._words[:n_words], dtype)


def words_per_item(size: int) -> int:
    """Return W, the 64-bit words that an item of `size` uniforms owns: whole Philox blocks.

    Raises:
        ValueError: The size is not positive.
    """
    if size <= 0:
        raise ValueError(f"no item has {size} uniforms")
    return BLOCK * -(-size // (BLOCK * PER_WORD))


def uniform(seed: int, attempts: int | range, indices: Indices, size: int) -> Uniforms:
    """Return the uniforms of some items of a seed.

    Word w gives two uniforms, from k = w >> 40 first and k = (w >> 16) & 0xFFFFFF second, each
    (k + 0.5) / 2**24 in float32. For k = 2**24 - 1 that rounds to 1, which becomes 1 - 2**-24.

    Args:
        seed: 0 to 2**64 - 1.
        attempts: 0 for the first draw, t for the t-th redraw; of several, the rows of one follow those of another.
        indices: n item numbers from 0 on, in any order; neighbours are drawn in one go.
        size: S, uniforms per item.

    Returns:
        float32 (n, S) for each attempt, inside (0, 1).

    Raises:
        RequestError: The seed is not an integer from 0 to 2**64 - 1.
        ValueError: The size is not positive.
    """
    seed = check_integer("seed", seed, 0, MAX_SEED)
    width = words_per_item(size)
    attempts = range(attempts, attempts + 1) if isinstance(attempts, int) else attempts
    words = np.empty((len(attempts) * len(indices), width), np.uint64)
    runs = list(_runs(indices, width))
    done = 0  # rows
    for attempt in attempts:
        stream = np.random.Philox(_Key(seed, attempt))  # type: ignore[arg-type]  # NumPy's types know only its own
        place = 0  # words of the stream
        for run in runs:
            start, stop = int(run[0]), int(run[-1]) + 1
            if start * width != place:
                stream.advance((start * width - place) // BLOCK % 2**256)  # modulo the counter's range it goes back too
            place = stop * width
            drawn = stream.random_raw((stop - start) * width).reshape(-1, width)
            words[done : done + len(run)] = drawn if len(run) == len(drawn) else drawn[np.asarray(run) - start]
            done += len(run)
    result = np.empty((len(words), size), np.float32)
    most = max(1, CHUNK // width)
    for at in range(0, len(words), most):
        result[at : at + most] = _to_uniform(words[at : at + most])[:, :size]
    return result


def _runs(indices: Indices, width: int) -> Iterator[range | npt.NDArray[np.int64]]:
    """Split item numbers into ascending runs without wide gaps, none spanning more than CHUNK words."""
    most = max(1, CHUNK // width)  # items a run may span
    if isinstance(indices, range) and indices.step == 1:
        yield from (indices[at : at + most] for at in range(0, len(indices), most))
        return
    items = np.asarray(indices, np.int64)
    steps = np.diff(items)
    cuts = [0, *(np.flatnonzero((steps < 1) | (steps > SKIP // width + 1)) + 1).tolist(), len(items)]
    for begin, end in itertools.pairwise(cuts):
        while begin < end:
            after = begin + int(np.searchsorted(items[begin:end], items[begin] + most))
            yield items[begin:after]
            begin = after


def _to_uniform(words: npt.NDArray[np.uint64]) -> Uniforms:
    """Turn words (n, W) into uniforms (n, 2 * W)."""
    first = words >> np.uint64(64 - BITS)
    second = (words << np.uint64(16)) & np.uint64(0x00FFFFFF_00000000)
    if sys.byteorder == "big":
        first, second = first << np.uint64(32), second >> np.uint64(32)
    # Both halves of one word at a time; NumPy turns int32 into float32 faster than uint32.
    result = (first | second).view(np.int32).astype(np.float32)  # k, exact up to 2**24
    result += np.float32(0.5)
    result *= np.float32(2**-BITS)
    np.minimum(result, BELOW_ONE, out=result)
    return result
