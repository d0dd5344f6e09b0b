"""Write tests/runtime/golden.json: noise, and what the tiny bundle makes of it.

    python tests/runtime/make_golden.py

To be run again only when the tiny bundle changes. The uniforms must never change: images of a seed are promised.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import vaegen
from vaegen.noise import uniform

HERE = Path(__file__).parent
NOISE = [(0, 0, 0, 9), (0, 0, 1, 9), (0, 1, 0, 9), (1, 0, 0, 9), (2**64 - 1, 3, 1000, 9), (7, 0, 2**40, 17)]
SAMPLES = [(3, "red", 0, 0), (3, "red", 0, 1), (7, "teal", 1, 0), (0, "#ff8000", 2**64 - 1, 12), (8, "gray", 4, 10**9)]
RECONSTRUCTIONS = [(3, "red", 0, 0), (3, "red", 1, 0), (5, "gold", 0, 77)]


def digest(image: np.ndarray) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def main() -> None:
    model = vaegen.load(HERE.parent / "assets" / "tiny")
    golden: dict[str, list[dict[str, Any]]] = {"uniforms": [], "samples": [], "reconstructions": []}
    for seed, attempt, item, size in NOISE:
        values = uniform(seed, attempt, [item], size)[0].astype(float).tolist()
        golden["uniforms"].append({"seed": seed, "attempt": attempt, "item": item, "values": values})
    for digit, color, seed, item in SAMPLES:
        draw = model.draw(digit, color, seed=seed, start=item)
        golden["samples"].append(
            {
                "digit": digit,
                "color": color,
                "seed": seed,
                "item": item,
                "tries_used": int(draw.tries_used[0]),
                "latent": [round(float(value), 6) for value in draw.latents[0]],
                "sha256": digest(draw.images[0]),
            }
        )
    for digit, color, seed, item in RECONSTRUCTIONS:
        image = model.reconstruct(model.sample(digit, color), stochastic=True, seed=seed, start=item)
        golden["reconstructions"].append(
            {"digit": digit, "color": color, "seed": seed, "item": item, "sha256": digest(image[0])}
        )
    (HERE / "golden.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
