"""Prove that enlarged images scaled down are the images, and measure their edges, drawings and times.

    python tests/proofs/shapes.py                  # 1,000 samples of each shipped model at 280 pixels, two minutes
    python tests/proofs/shapes.py --samples 200 --size 500 --model joint

An edge is measured along rows and columns that it crosses at a right angle, within 20 degrees: from a tenth of the
brightest to nine tenths of it, samples joined by lines, so that the edge of an ideal stroke takes 0.8 to 1.6 pixels.
"""

import argparse
import json
import time

import numpy as np
import vaegen
from numpy.typing import NDArray
from PIL import Image
from vaegen.spec import SIDE

MEASURED = 60  # images whose edges are measured
FAR = 40.0  # pixels, where an edge has no end


def widths(mask: NDArray[np.floating]) -> list[float]:
    """Return the widths of edges of a mask, 0 to 1, in pixels."""
    found = []
    down, across = np.gradient(mask)
    for plane, along, beside in ((mask, across, down), (mask.T, down.T, across.T)):
        cross = (plane[:, :-1] < 0.5) != (plane[:, 1:] < 0.5)
        for row, column in np.argwhere(cross).tolist():
            slope, slant = abs(along[row, column]), abs(beside[row, column])
            if slant > 0.36 * slope:
                continue
            rises = plane[row, column] < plane[row, column + 1]
            line = plane[row] if rises else plane[row, ::-1]
            middle = column if rises else len(line) - 2 - column
            low, high = np.flatnonzero(line[: middle + 1] <= 0.1), np.flatnonzero(line[middle + 1 :] >= 0.9)
            if not (len(low) and len(high)):
                found.append(FAR)
                continue
            start, end = int(low[-1]), middle + 1 + int(high[0])
            start_at = start + (0.1 - line[start]) / (line[start + 1] - line[start])
            end_at = end - (line[end] - 0.9) / (line[end] - line[end - 1])
            found.append(min(float((end_at - start_at) * slope / np.hypot(slope, slant)), FAR))
    return found


def measure(model: vaegen.Model, n: int, size: int) -> dict[str, object]:
    rng = np.random.default_rng(1)
    colors = rng.integers(0, 256, (n, 3))
    colors[np.arange(n), rng.integers(0, 3, n)] = 255
    images = model.sample([at % 10 for at in range(n)], [tuple(color) for color in colors.tolist()], seed=1)
    spent, worst, edges, drawings = 0.0, np.zeros(256, int), [], []
    for at, image in enumerate(images):
        began = time.process_time()
        large = vaegen.enlarge(image, size)
        spent += time.process_time() - began
        again = np.asarray(Image.fromarray(large).resize((SIDE, SIDE), Image.Resampling.BOX), np.int16)
        worst[np.abs(again - image).max()] += 1
        if at < MEASURED:
            edges += widths(large.max(2) / np.float32(max(large.max(), 1)))
        drawings.append(len(vaegen.svg(image).encode()))
    return {
        "model": model.spec.name,
        "samples": n,
        "size": size,
        "ms each": round(1000 * spent / n, 1),
        "images by largest deviation": {str(deviation): int(worst[deviation]) for deviation in np.flatnonzero(worst)},
        "edge, median": round(float(np.median(edges)), 2),
        "edge, 90%": round(float(np.percentile(edges, 90)), 2),
        "edges of at most 2 pixels": round(float(np.mean(np.array(edges) <= 2)), 3),
        "svg, median bytes": int(np.median(drawings)),
        "svg, most bytes": max(drawings),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--size", type=int, default=280)
    parser.add_argument("--model", action="append", help="the three shipped ones if left out")
    given = parser.parse_args()
    for name in given.model or vaegen.models():
        with vaegen.load(name) as model:
            print(json.dumps(measure(model, given.samples, given.size)), flush=True)


if __name__ == "__main__":
    main()
