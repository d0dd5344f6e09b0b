"""`vaegen sample --text`: digits side by side in one picture, cut apart every 28 pixels."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image

Run = Callable[..., Any]


def pixels(source: Any) -> Any:
    with Image.open(source) as image:
        return np.asarray(image.convert("RGB"))


def test_a_year_in_a_rainbow(run: Run) -> None:
    result = run("sample", "--text", "2026", "--color", "rainbow")
    assert (result.code, result.out, result.err) == (0, "2026.png\n", "")
    picture = pixels("2026.png")
    assert picture.shape == (28, 4 * 28, 3)
    cut = np.stack(np.split(picture, 4, axis=1))
    with vaegen.load("joint") as model:
        assert model.judge(cut).argmax(1).tolist() == [2, 0, 2, 6]
    brightest = cut.reshape(4, -1, 3).max(1)
    assert (brightest > 150).tolist() == [
        [True, False, False],
        [False, True, False],
        [False, True, True],
        [True, False, True],
    ]


def test_its_digits_are_those_that_json_tells_of(sample: Run, tiny: Path) -> None:
    told = json.loads(sample("--text", "007", "--color", "red,teal", "--seed", 3, "--start", 5, "--json").out)
    assert (told["file"], told["text"], told["color"], told["index"]) == ("007.png", "007", "red,teal", 5)
    assert [(one["digit"], one["color"]) for one in told["images"]] == [(0, "red"), (0, "teal"), (7, "red")]
    with vaegen.load(tiny) as model:
        for one, cut in zip(told["images"], np.split(pixels("007.png"), 3, axis=1), strict=True):
            image = model.sample(one["digit"], one["color"], seed=3, start=one["index"], hand=told["hand"])
            assert (cut == image[0]).all()
    sample("--text", "007", "--color", "red,teal", "--seed", 3, "--start", 5, "--hand", told["hand"], "-o", "again.png")
    assert Path("again.png").read_bytes() == Path("007.png").read_bytes()


def test_the_ways_to_write_it(sample: Run, process: Callable[..., Any], tiny: Path) -> None:
    call = ("--text", "31", "--color", "gold")
    sample(*call, "-o", "small.png")
    small = pixels("small.png")
    assert sample(*call, "-o", "deep/").paths == [str(Path("deep", "31.png"))]
    sample(*call, "-o", "large.png", "--scale", 3)
    assert (pixels("large.png") == np.kron(small, np.ones((3, 3, 1), np.uint8))).all()
    sample(*call, "-o", "31.npy")
    assert (np.load("31.npy") == small).all()
    sample(*call, "-o", "smooth.png", "--size", 56)
    assert (
        pixels("smooth.png")
        == vaegen.enlarge(np.stack(np.split(small, 2, 1)), 56).transpose(1, 0, 2, 3).reshape(56, 112, 3)
    ).all()
    assert sample(*call, "-o", "31.svg").paths == ["31.svg"]
    assert Path("31.svg").read_text().count("<path") == 2
    out, _ = process("sample", "--model", tiny, *call, "-o", "-").communicate()
    assert (pixels(io.BytesIO(out)) == small).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text", "2.6"), "text '2.6' is not made of digits alone; give 1 to 64 digits"),
        (("--text", "1" * 65), "a text of 65 digits is too long; give at most 64"),
        (("--text", "12", "--digit", 3), "--text and --digit exclude each other; leave out one of them"),
        (("--text", "12", "--count", 2), "--text and --count exclude each other"),
        (("--text", "12", "--grid"), "--text and --grid exclude each other"),
        (("--text", "12", "--walk", 3, 8), "--walk and --text exclude each other"),
        (("--text", "12", "--color", "red,rainbow"), "color 'rainbow' is for --text, by itself"),
        (("--digit", 3, "--color", "rainbow"), "color 'rainbow' is for --text, by itself"),
        (("--text", "12", "--slant", 90), "slant 90.0 is not usable"),
    ],
)
def test_what_is_refused(sample: Run, here: Path, options: tuple[object, ...], message: str) -> None:
    result = sample(*options)
    assert (result.code, result.out, message in result.err) == (2, "", True), result.err
    assert list(here.iterdir()) == []


def test_a_digit_that_reads_as_another_is_told(run: Run) -> None:
    options = ("--temperature", 10, "--tries", 2, "--model", "continuous")
    results = [
        run("sample", "--text", "0123456789" * 3, "--color", "red", "--seed", s, *options, "--force") for s in (0, 1)
    ]
    assert any(result.code == 1 and "did not come out as asked" in result.err for result in results)
