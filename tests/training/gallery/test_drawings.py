from pathlib import Path

import numpy as np
import vaegen
from vaegen_training.data import Mnist
from vaegen_training.evaluate import samples
from vaegen_training.gallery import drawings


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
