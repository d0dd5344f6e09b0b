"""The loop on docs/bundle.md is verified sampling."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import vaegen
from vaegen.noise import uniform

PAGE = Path(__file__).parents[2] / "docs" / "bundle.md"
TINY = Path(__file__).parents[1] / "assets" / "tiny"


def test_the_loop_of_the_page_draws_what_the_library_draws() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    model = vaegen.load(TINY)
    sessions = {name: onnxruntime.InferenceSession(TINY / f"{name}.onnx") for name in ("prior", "decoder", "judge")}
    size = model.manifest.graphs["prior"].inputs["uniform"].shape[1]
    how = {"temperature": np.array(model.spec.prior_temperature, np.float32), "style": np.array([[90, 0]], np.float32)}
    names: dict[str, Any] = {
        "np": np,
        "run": lambda graph, outputs, inputs: sessions[graph].run(outputs, inputs),
        "noise": lambda seed, attempt, item: uniform(seed, attempt, range(item, item + 1), int(size)),
        "how": {name: value for name, value in how.items() if name in model.manifest.graphs["prior"].inputs},
    }
    exec(code, names)
    wanted = model.draw(range(10), "orange", seed=5)
    assert wanted.tries_used.max() > 1
    for digit in range(10):
        found = names["sample"](digit, [1, 165 / 255, 0], 5, digit)
        assert np.abs(found.astype(int) - wanted.images[digit]).max() <= 1
