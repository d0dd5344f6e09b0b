"""Verification: what is not what was asked for is drawn again, and nothing else is."""

from typing import Any

import numpy as np
import pytest
from vaegen import Draw, Model, RequestError, load
from vaegen.color import DARKEST_DRAWN
from vaegen.sampling import COLOR_REACH, _asked, ask, random_subjects, style_of_hand
from vaegen.spec import STYLE_SHARES

DIGITS = np.arange(1200) % 10
COLORS = np.random.default_rng(1).integers(60, 256, (1200, 3))
NOTHING = dict.fromkeys(("temperature", "best", "slant", "thickness", "hand"))
OPEN: dict[str, Any] = {**NOTHING, "seed": 0, "start": 0, "tries": 8}  # of what `ask` takes


def rank(draw: Draw) -> np.ndarray:
    assert draw.rank is not None
    return draw.rank


@pytest.fixture(scope="module")
def raw(model: Model) -> Draw:
    return model.draw(DIGITS, COLORS, tries=1)


@pytest.fixture(scope="module")
def draws(model: Model) -> dict[int, Draw]:
    return {tries: model.draw(DIGITS, COLORS, tries=tries) for tries in (2, 3, 8)}


def test_the_raw_prior_leaves_verification_something_to_do(model: Model, raw: Draw) -> None:
    assert 0.1 < (model.judge(raw.images).argmax(1) != DIGITS).mean() < 0.2


def test_verified_images_are_right_far_more_often(draws: dict[int, Draw]) -> None:
    draw = draws[8]
    assert draw.judged is not None
    assert draw.accepted is not None
    assert (draw.judged == DIGITS).mean() > 0.999
    assert draw.accepted.mean() > 0.95


def test_with_one_try_nothing_is_checked(raw: Draw) -> None:
    for name in ("judged", "confidence", "measured", "color_error", "realism", "accepted", "rank", "reached"):
        assert getattr(raw, name) is None
    assert (raw.tries_used == 1).all()


def test_what_is_told_of_an_image_is_true_of_it(model: Model, draws: dict[int, Draw]) -> None:
    limits = model.spec.thresholds
    for draw in draws.values():
        assert draw.judged is not None
        assert draw.confidence is not None
        assert draw.measured is not None
        assert draw.color_error is not None
        assert draw.realism is not None
        assert len(draw) == 1200
        np.testing.assert_array_equal(draw.images, model.decode(draw.latents))
        probabilities = model.judge(draw.images)
        np.testing.assert_array_equal(draw.judged, probabilities.argmax(1))
        # Batches may round otherwise, and the judge rounds the decoder's pixels to 8 bits as they are in the images.
        np.testing.assert_allclose(draw.confidence, probabilities[range(1200), DIGITS], rtol=1e-6)
        # What the committed bundle draws is of one color, which it measures as the root mean square of differences.
        np.testing.assert_allclose(draw.measured, draw.images.max((1, 2)), atol=1e-3)
        differences = (draw.images.max((1, 2)) - COLORS) / 255
        np.testing.assert_allclose(draw.color_error, 100 * np.sqrt((differences**2).mean(1)), atol=1e-4)
        sure, near = draw.confidence >= limits.probability, draw.color_error <= limits.color_error
        assert (draw.judged[sure] == DIGITS[sure]).all()
        np.testing.assert_array_equal(draw.accepted, sure & near & (draw.realism >= limits.realism))
        np.testing.assert_array_equal(draw.accepted, rank(draw) > 10)
        for part, seen in ((sure, 0.8), (near, 0.3), (draw.realism >= limits.realism, 0.8)):
            assert seen < part.mean() < 1 or draw is draws[8]
        np.testing.assert_array_equal(draw.reached, draw.color_error <= COLOR_REACH)
        np.testing.assert_array_equal(draw.digits, DIGITS)
        np.testing.assert_array_equal(draw.colors, COLORS)


def test_only_what_was_not_accepted_is_drawn_again(raw: Draw, draws: dict[int, Draw]) -> None:
    two, eight = draws[2], draws[8]
    assert two.accepted is not None
    once = two.tries_used == 1
    np.testing.assert_array_equal(two.images[once], raw.images[once])
    assert two.accepted[once].all()
    assert (two.tries_used[~once] == 2).all()
    # What two tries settled, more tries leave alone.
    np.testing.assert_array_equal(eight.images[two.accepted], two.images[two.accepted])
    np.testing.assert_array_equal(eight.tries_used[two.accepted], two.tries_used[two.accepted])
    assert (eight.tries_used[~two.accepted] > 2).all()


@pytest.mark.parametrize("size", [1, 2])
def test_images_asked_for_alone_or_in_pairs_are_those_of_a_whole_call(size: int) -> None:
    # Their batches hold draws of several attempts. A shipped model's ranks differ; it is warm, to try often.
    model, digits = load("continuous"), DIGITS[:100]
    for tries in (2, 8):
        whole = model.draw(digits, "teal", temperature=1.75, tries=tries)
        parts = [
            model.draw(digits[at : at + size], "teal", start=at, temperature=1.75, tries=tries)
            for at in range(0, 100, size)
        ]
        for name in ("images", "latents", "tries_used", "judged", "accepted"):
            together = np.concatenate([getattr(part, name) for part in parts]).astype(float)
            np.testing.assert_allclose(together, getattr(whole, name), atol=1 if name == "images" else 1e-4)
    assert set(range(1, 6)) < set(whole.tries_used.tolist())


def test_more_tries_never_make_an_image_worse(draws: dict[int, Draw]) -> None:
    assert (rank(draws[3]) >= rank(draws[2])).all()
    assert (rank(draws[8]) >= rank(draws[3])).all()


def test_the_best_of_all_candidates_is_kept(model: Model) -> None:
    # At this temperature hardly anything is acceptable, so that images run through all their tries.
    draw = model.draw(DIGITS, COLORS, temperature=3.0, tries=4)
    assert draw.accepted is not None
    lost = ~draw.accepted
    assert lost.mean() > 0.3
    assert (draw.tries_used[lost] == 4).all()
    candidates = [model.draw(DIGITS, COLORS, temperature=3.0, tries=tries) for tries in (2, 3, 4)]
    best = np.max([rank(candidate) for candidate in candidates], axis=0)
    np.testing.assert_array_equal(rank(draw), best)
    assert (draw.images[lost] != model.draw(DIGITS, COLORS, temperature=3.0, tries=1).images[lost]).any()
    assert (rank(draw) < 2).mean() < 0.1  # where another digit is read, and no draw was better


def test_the_best_of_n_has_the_highest_rank_of_all_n_draws(model: Model) -> None:
    n, digits, colors = 5, DIGITS[:100], COLORS[:100]
    best = model.draw(digits, colors, seed=2, start=7, best=n)
    asked = ask(model.spec, (digits, colors, None), **OPEN | {"seed": 2, "start": 7, "tries": n})
    ranks, images = [], []
    for attempt in range(n):  # each by itself, whatever came of the others
        parts = _asked(model._graphs, asked, np.arange(100), range(attempt, attempt + 1))
        pixels, _, (found,) = model._graphs.answer(parts, ("rank",))
        ranks.append(found)
        images.append(pixels)
    chosen = np.argmax(ranks, axis=0)
    np.testing.assert_allclose(rank(best), np.max(ranks, axis=0), atol=1e-6)
    np.testing.assert_array_equal(best.images, np.array(images)[chosen, np.arange(100)])
    assert len(set(chosen.tolist())) > 2
    assert (best.tries_used == n).all()
    np.testing.assert_array_equal(model.sample(digits, colors, seed=2, start=7, best=n), best.images)
    alone = model.draw(int(digits[3]), colors[3], seed=2, start=10, best=n)  # in whose batch are all its draws
    np.testing.assert_array_equal(alone.images[0], best.images[3])
    assert (rank(best) >= rank(model.draw(digits, colors, seed=2, start=7, tries=n))).all()


def test_the_best_of_one_is_the_first_draw_judged(model: Model, raw: Draw) -> None:
    one = model.draw(DIGITS[:50], COLORS[:50], best=1)
    np.testing.assert_array_equal(one.images, raw.images[:50])
    assert one.accepted is not None
    with pytest.raises(RequestError, match="tries and best exclude each other"):
        model.sample(3, "red", tries=8, best=8)


def test_random_subjects_follow_seed_and_item() -> None:
    digits, colors = random_subjects(1000, seed=3, start=0)
    assert random_subjects(10, seed=3, start=500) == (digits[500:510], colors[500:510])
    assert random_subjects(10, seed=4, start=500) != (digits[500:510], colors[500:510])
    assert set(digits) == set(range(10))
    brightest = [max(color) for color in colors]
    assert min(brightest) >= DARKEST_DRAWN
    # Of the cube less its dark corner, 12.3% lies at or below half brightness.
    assert np.mean(np.array(brightest) < 128) == pytest.approx((128**3 - 64**3) / (256**3 - 64**3), abs=0.03)


def places(draw: Draw) -> np.ndarray:
    """Where the committed bundle put each digit, as (down, right) in cells."""
    place: np.ndarray = draw.latents[:, 13:].argmax(1)
    return np.where(place == 9, 0, np.stack([place // 3 - 1, place % 3 - 1])).T


def test_a_style_that_is_asked_for_is_drawn(model: Model) -> None:
    free = places(model.draw(3, "teal", 300, tries=1))
    assert {tuple(place) for place in free.tolist()} == {(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)}
    thick = places(model.draw(3, "teal", 300, thickness=8, tries=1))
    assert set(thick[:, 0]) == {1}  # its thick digits are further down, those that lean further to their side
    assert set(thick[:, 1]) == {-1, 0, 1}
    slants = np.where(np.arange(300) % 2, -30, 30)
    lean = places(model.draw(3, "teal", slant=slants, thickness=0.5, tries=1))
    assert (lean[:, 1] == np.sign(slants)).all()
    assert (lean[:, 0] == -1).all()


def test_a_hand_is_what_images_have_in_common(model: Model) -> None:
    draw = model.draw(DIGITS[:300], "teal", hand=7, tries=1)
    assert len(np.unique(draw.latents[:, :3], axis=0)) == 1  # the color's noise is the hand's
    assert len(np.unique(places(draw), axis=0)) > 1  # a quarter of the noise is the image's own
    assert (model.draw(0, "teal", hand=8, tries=1).latents[0, :3] != draw.latents[0, :3]).all()
    assert model.spec.style is not None
    slant, _ = style_of_hand(model.spec.style, 7)
    alone = model.draw(DIGITS[:300], "teal", hand=7, slant=slant, thickness=8)
    np.testing.assert_array_equal(alone.latents, model.draw(DIGITS[:300], "teal", hand=7, thickness=8).latents)
    for lean in (-30, 30):  # what is given wins
        assert set(places(model.draw(DIGITS[:300], "teal", hand=7, slant=lean, tries=1))[:, 1]) == {np.sign(lean)}
    late = model.draw(DIGITS[100:300], "teal", start=100, hand=7, slant=slant, thickness=8)
    np.testing.assert_array_equal(late.images, alone.images[100:])


def test_hands_are_as_different_as_the_training_digits(model: Model) -> None:
    style = model.spec.style
    assert style is not None
    hands = np.array([style_of_hand(style, hand) for hand in range(1000)])
    for values, quantiles in zip(hands.T, style, strict=True):
        assert (values >= quantiles[0]).all()
        assert (values <= quantiles[-1]).all()
        for share, quantile in zip(STYLE_SHARES[1:-1], quantiles[1:-1], strict=True):
            assert (values < quantile).mean() == pytest.approx(share, abs=0.05)
    assert abs(np.corrcoef(hands.T)[0, 1]) < 0.1


def test_a_model_without_style_says_so(model: Model) -> None:
    plain = model.spec._replace(style=None)
    assert ask(plain, (3, "red", 2), **OPEN).style.shape == (2, 2)
    for style in ({"slant": 1.0}, {"thickness": np.array([2.0])}, {"hand": 0}):
        with pytest.raises(RequestError, match="'tiny' knows no slant, thickness or hand"):
            ask(plain, (3, "red", 1), **OPEN | style)
