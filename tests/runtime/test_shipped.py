"""The models in the wheel: whole, honest and small."""

import hashlib

import numpy as np
import pytest
import vaegen
from vaegen import bundle, color, sampling
from vaegen.spec import KINDS, SIDE

COLORS = ["red", "orange", "yellow", "green", "cyan", "blue", "magenta", "white"]


def test_all_three_are_here() -> None:
    assert vaegen.models() == KINDS
    assert vaegen.DEFAULT_MODEL in KINDS


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> vaegen.Model:
    return vaegen.load(request.param)


def test_a_bundle_is_at_most_4_mb_and_says_what_it_is(model: vaegen.Model) -> None:
    assert sum(path.stat().st_size for path in model.path.iterdir()) <= 4_000_000
    assert model.spec.name == model.spec.kind == model.path.name
    assert model.spec.preset == "default"


def test_the_parity_report_is_within_the_gate(model: vaegen.Model) -> None:
    parity = model.manifest.parity
    assert parity["batches"] == [1, 2, 7, 64]
    assert (parity["atol"], parity["rtol"]) == (1e-5, 1e-4)
    assert parity["largest_difference"]["decoder.image"] <= 1e-5 + 1e-4


def test_one_changed_byte_is_refused(model: vaegen.Model, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tampered")
    for path in model.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    data = bytearray((folder / "decoder.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "decoder.onnx").write_bytes(data)
    with pytest.raises(vaegen.IntegrityError, match=r"decoder\.onnx"):
        vaegen.load(folder)


def test_every_digit_in_every_color_comes_out_as_asked(model: vaegen.Model) -> None:
    digits = np.repeat(np.arange(10), len(COLORS))
    drawn = model.draw(digits.tolist(), COLORS * 10, seed=1)
    assert drawn.judged is not None
    assert drawn.color_error is not None
    assert (drawn.judged == digits).mean() >= 0.98
    assert np.median(drawn.color_error) < 1.5  # CIEDE2000: 1 to 2 is just noticeable
    # The measurement again, by other means: the hue of the red ones is red.
    red = drawn.images[:: len(COLORS)].reshape(10, -1, 3).sum(1)
    assert (red[:, 0] > 50 * red[:, 1:].max(1)).all()


def test_a_raw_3_is_a_3_far_more_often_than_not(model: vaegen.Model) -> None:
    images = model.sample(3, "red", 200, seed=2, tries=1)
    assert (model.judge(images).argmax(1) == 3).mean() > 0.9
    # Generation, not one picture 200 times.
    assert len({hashlib.sha256(image.tobytes()).digest() for image in images}) == 200


def test_what_the_judge_is_unsure_of_is_drawn_again(model: vaegen.Model) -> None:
    digits = np.arange(1200) % 10
    first, draw = (model.draw(digits.tolist(), "white", seed=4, tries=tries) for tries in (1, 2))
    assert draw.confidence is not None
    probabilities = model.judge(first.images)
    sure = probabilities[np.arange(1200), digits] >= sampling.JUDGE_CONFIDENCE
    unsure = (probabilities.argmax(1) == digits) & ~sure  # the right digit, but who knows
    assert unsure.any()
    assert (draw.tries_used[~sure] == 2).all()
    assert (draw.confidence >= sampling.JUDGE_CONFIDENCE).mean() > sure.mean()


def test_its_own_digits_survive_reconstruction(model: vaegen.Model) -> None:
    images = model.sample(list(range(10)), "teal", seed=3)
    again = model.reconstruct(images)
    assert (model.judge(again).argmax(1) == np.arange(10)).all()
    error = color.color_error(color.stroke_color(again), color.stroke_color(images))
    assert np.median(error) < 1.5


def test_black_stays_black(model: vaegen.Model) -> None:
    assert model.reconstruct(np.zeros((1, SIDE, SIDE, 3), np.uint8)).max() <= 1


def test_only_bundles_lie_among_the_models() -> None:
    assert {path.name for path in bundle.SHIPPED.iterdir()} == set(KINDS)
