import io
from pathlib import Path

import numpy as np
import vaegen
from PIL import Image
from vaegen_training.data import Mnist
from vaegen_training.evaluate import samples
from vaegen_training.gallery import canvas, drawings


def test_a_model_is_seen_as_the_library_gives_it(tiny: Path, digits: Mnist) -> None:
    real = samples.real_digits(digits, 200, 50, seed=0).test
    with vaegen.load(tiny) as model:
        subject = drawings.look(model, real, 0)
        assert subject.label == "handmade tiny"
        np.testing.assert_array_equal(subject.latents, model.encode(real.images))
        np.testing.assert_array_equal(subject.rebuilt.images, model.reconstruct(real.images))
        assert (np.rint(subject.rebuilt.unrounded * 255) == subject.rebuilt.images).all()
        np.testing.assert_array_equal(subject.sampled.images, model.reconstruct(real.images, stochastic=True))
    assert sorted(subject.coordinates.tolist()) == [0, 1, 2]
    assert (np.diff(subject.rates[subject.coordinates]) <= 0).all()
    assert (np.diff(subject.rates[3:][subject.variables]) <= 0).all()


def test_the_worst_samples_are_those_of_the_lowest_scores(tiny: Path, digits: Mnist) -> None:
    real = samples.real_digits(digits, 100, 50, seed=0).test
    item = np.arange(drawings.DRAWN)
    with vaegen.load(tiny) as model:
        picture = drawings.worst(drawings.look(model, real, 0), 0)
        drawn = model.draw(item % 10, np.array(drawings.hues(9))[item % 9], seed=0)
    assert drawn.realism is not None
    worst = drawn.images[np.argsort(drawn.realism, kind="stable")[:60]]
    with Image.open(io.BytesIO(picture.data)) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    cell = 2 * 28 + canvas.GAP
    top, left = len(pixels) - canvas.MARGIN - 6 * cell + canvas.GAP, canvas.MARGIN
    for place in (0, 7, 59):
        y, x = top + place // 10 * cell, left + place % 10 * cell
        np.testing.assert_array_equal(pixels[y : y + 56 : 2, x : x + 56 : 2], worst[place])
