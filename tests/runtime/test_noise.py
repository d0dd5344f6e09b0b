"""Noise is a function of seed, attempt and item, the same in every language."""

import numpy as np
import pytest
from vaegen import RequestError
from vaegen.noise import uniform, words_per_item

MASK = 2**64 - 1


def philox(counter: int, key: tuple[int, int]) -> list[int]:
    """Philox 4x64-10 in plain integers (Salmon et al., SC11, with the constants of Random123)."""
    x = [(counter >> (64 * word)) & MASK for word in range(4)]
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(p1 >> 64) ^ x[1] ^ k0, p1 & MASK, (p0 >> 64) ^ x[3] ^ k1, p0 & MASK]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return x


def reference(seed: int, attempt: int, item: int, size: int) -> list[float]:
    """What a client in another language would write."""
    blocks = -(-size // 8)
    words = [w for block in range(blocks) for w in philox(item * blocks + block + 1, (seed, attempt))]
    ks = [k for w in words for k in (w >> 40, (w >> 16) & 0xFFFFFF)]
    return [min(float(np.float32((k + 0.5) / 2**24)), 1 - 2**-24) for k in ks[:size]]


@pytest.mark.parametrize("seed", [0, 1, 12345678901234567890, 2**64 - 1])
@pytest.mark.parametrize("attempt", [0, 7])
@pytest.mark.parametrize("size", [1, 8, 9, 23])
def test_uniforms_equal_an_independent_philox(seed: int, attempt: int, size: int) -> None:
    items = [0, 1, 1000, 2**40, 2**62]
    expected = [reference(seed, attempt, item, size) for item in items]
    np.testing.assert_array_equal(uniform(seed, attempt, items, size), np.array(expected, np.float32))


def test_any_choice_of_items_gives_the_rows_of_the_whole() -> None:
    whole = uniform(3, 1, range(20000), 14)
    generator = np.random.default_rng(0)
    for items in (
        np.array([5]),
        np.arange(100, 9000, 2),
        np.arange(0, 20000, 1999),
        generator.permutation(20000)[:500],
        np.array([7, 7, 8, 7]),
        np.array([19999, 0]),
    ):
        np.testing.assert_array_equal(uniform(3, 1, items, 14), whole[items])
        np.testing.assert_array_equal(uniform(3, 1, items.tolist(), 14), whole[items])
    np.testing.assert_array_equal(uniform(3, 1, range(37, 5000), 14), whole[37:5000])
    np.testing.assert_array_equal(uniform(3, 1, range(100, 37, -3), 14), whole[100:37:-3])


def test_no_items_give_no_rows() -> None:
    assert uniform(0, 0, range(0), 5).shape == (0, 5)
    assert uniform(0, 0, [], 5).shape == (0, 5)


def test_uniforms_lie_inside_0_and_1_and_are_uniform() -> None:
    sample = uniform(0, 0, range(20000), 50).ravel()
    assert sample.dtype == np.float32
    assert sample.min() > 0
    assert sample.max() < 1
    counts = np.histogram(sample, 100, (0, 1))[0]
    # Chi-squared with 99 degrees of freedom: mean 99, standard deviation 14.
    assert ((counts - 10000) ** 2 / 10000).sum() < 99 + 5 * 14


def test_the_one_value_that_rounds_to_1_stays_below_it() -> None:
    from vaegen.noise import _to_uniform

    words = np.array([[MASK, 0, 0xFFFFFE << 40]], np.uint64)
    below, least, next_below = 1 - 2**-24, 2**-25, np.float32((0xFFFFFE + 0.5) / 2**24)
    np.testing.assert_array_equal(_to_uniform(words), [[below, below, least, least, next_below, least]])
    assert below < 1


def test_seeds_attempts_and_items_give_different_noise() -> None:
    rows = [uniform(seed, attempt, [item], 23)[0] for seed in (0, 1) for attempt in (0, 1) for item in (0, 1)]
    assert len({row.tobytes() for row in rows}) == 8
    assert abs(np.corrcoef(np.array(rows)) - np.eye(8)).max() < 0.8


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None, True])
def test_seeds_that_do_not_exist_are_refused(seed: object) -> None:
    with pytest.raises(RequestError, match="seed"):
        uniform(seed, 0, range(1), 4)  # type: ignore[arg-type]


def test_an_item_owns_whole_blocks() -> None:
    assert [words_per_item(size) for size in (1, 8, 9, 16, 17, 840)] == [4, 4, 8, 8, 12, 420]
    with pytest.raises(ValueError, match="0"):
        words_per_item(0)
