"""Prove that texts are read right by a judge of their own, and count the frames of walks that are no clear digits.

    python tests/proofs/legible.py                   # 1,000 texts and 90 walks of each shipped model, some minutes
    python tests/proofs/legible.py --texts 50 --walks 9 --model joint

Texts are of four digits, in hands that are drawn from their seeds or, of as many others, given; digits, hands and
colors are random. The evaluation judge, which no model was trained or chosen by, reads each text cut apart every 28
pixels, as `vaegen sample --text` writes it. Walks go from each digit to each other, in random colors, with 24 frames
each; whether a frame is clear says the model's own judge, as on the command line.
"""

import argparse
import itertools
import json
import time

import numpy as np
import vaegen
from vaegen.encoding import sheet
from vaegen.moves import clear
from vaegen.noise import MAX_SEED
from vaegen.subjects import Color, Subject
from vaegen.texts import write
from vaegen_training.evaluate import evaluation_judge

DIGITS, FRAMES = 4, 24


def colors(rng: np.random.Generator, n: int) -> list[Color]:
    """Return random colors with a channel of 255."""
    rows = rng.integers(0, 256, (n, 3))
    rows[np.arange(n), rng.integers(0, 3, n)] = 255
    return [Color.of((rgb[0], rgb[1], rgb[2])) for rgb in rows.tolist()]


def texts(model: vaegen.Model, n: int, *, given: bool) -> dict[str, object]:
    rng = np.random.default_rng(2026)
    began, asked, cut, accepted = time.process_time(), [], [], 0
    for seed, color in enumerate(colors(rng, n)):
        asked.append(rng.integers(0, 10, DIGITS))
        hand = int(rng.integers(0, MAX_SEED, dtype=np.uint64)) if given else None
        subjects = [Subject(digit, color, 0) for digit in asked[-1].tolist()]
        draw = write(model, subjects, seed=seed, start=0, hand=hand).draw
        cut += np.split(sheet(draw.images, 1, DIGITS), DIGITS, axis=1)
        accepted += draw.accepted is not None and bool(draw.accepted.all())
    took = time.process_time() - began
    judge, _ = evaluation_judge.load()
    read = judge.read(np.stack(cut))[0].reshape(n, DIGITS)
    pairs = zip(asked, read, strict=True)
    wrong = [["".join(map(str, row.tolist())) for row in pair] for pair in pairs if (pair[0] != pair[1]).any()]
    return {
        "model": model.spec.name,
        "texts": n,
        "hands": "given" if given else "drawn",
        "read right": 1 - len(wrong) / n,
        "all digits accepted": accepted / n,
        "wrong": wrong,
        "ms each": round(1000 * took / n, 1),
    }


def walks(model: vaegen.Model, n: int) -> dict[str, object]:
    rng = np.random.default_rng(2026)
    began, unclear, errors = time.process_time(), [], []
    ways = itertools.cycle(itertools.permutations(range(10), 2))
    for seed, digits in enumerate(itertools.islice(ways, n)):
        ends = [color.rgb for color in colors(rng, 2)]
        draw = vaegen.walk(model, digits, ends, FRAMES, seed=seed)
        unclear.append(int((~clear(draw, model.spec)).sum()))
        errors.append(draw.color_error)
    return {
        "model": model.spec.name,
        "walks": n,
        "frames": FRAMES,
        "unclear, mean": round(float(np.mean(unclear)), 2),
        "unclear, most": max(unclear),
        "color error, median": round(float(np.median(np.stack(errors))), 2),  # type: ignore[arg-type]
        "ms each": round(1000 * (time.process_time() - began) / n, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1000, help="of each kind of hand")
    parser.add_argument("--walks", type=int, default=90)
    parser.add_argument("--model", action="append", help="a name or folder; repeatable")
    arguments = parser.parse_args()
    for name in arguments.model or vaegen.models():
        with vaegen.load(name) as model:
            for given in (False, True):
                print(json.dumps(texts(model, arguments.texts, given=given)), flush=True)
            print(json.dumps(walks(model, arguments.walks)), flush=True)


if __name__ == "__main__":
    main()
