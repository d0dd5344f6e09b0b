"""The promise of `vaegen.noise`, in numbers: same noise everywhere, and what the tiny bundle makes of it.

`make_golden.py` wrote golden.json with onnxruntime 1.32 on x86-64. Uniforms must be equal to the last bit on any
machine; latents within 1e-5. The images are hashed: they hold four levels each, so a last bit that differs
elsewhere moves one of them across a rounding edge in one image of thousands.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vaegen import Model
from vaegen.noise import uniform

GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("golden.json").read_text())


@pytest.mark.parametrize("golden", GOLDEN["uniforms"])
def test_uniforms(golden: dict[str, Any]) -> None:
    found = uniform(golden["seed"], golden["attempt"], [golden["item"]], len(golden["values"]))
    np.testing.assert_array_equal(found[0].astype(np.float64), golden["values"])


@pytest.mark.parametrize("golden", GOLDEN["samples"])
def test_samples(model: Model, golden: dict[str, Any]) -> None:
    draw = model.draw(golden["digit"], golden["color"], seed=golden["seed"], start=golden["item"])
    assert draw.tries_used[0] == golden["tries_used"]
    np.testing.assert_allclose(draw.latents[0], golden["latent"], atol=1e-5)
    assert hashlib.sha256(draw.images[0].tobytes()).hexdigest() == golden["sha256"]


@pytest.mark.parametrize("golden", GOLDEN["reconstructions"])
def test_reconstructions(model: Model, golden: dict[str, Any]) -> None:
    image = model.sample(golden["digit"], golden["color"])
    found = model.reconstruct(image, stochastic=True, seed=golden["seed"], start=golden["item"])
    assert hashlib.sha256(found[0].tobytes()).hexdigest() == golden["sha256"]
