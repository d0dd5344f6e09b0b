"""`vaegen sample --walk`: an animation that plays there and back, or its frames."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image, ImageSequence
from vaegen.moves import walk

Run = Callable[..., Any]
CALL = ("--walk", "1:#ff4040", "7:#40ff40", "--frames", 6)


def film(source: Any) -> tuple[Any, list[int], int]:
    """Return the frames, how long each stands, and how often they play; 0 for ever."""
    with Image.open(source) as image:
        frames, durations = [], []
        for frame in ImageSequence.Iterator(image):
            frames.append(np.asarray(frame.convert("RGB")))
            durations.append(int(frame.info["duration"]))
        return np.stack(frames), durations, image.info["loop"]


@pytest.fixture(scope="module")
def images(tiny: Path) -> Any:
    with vaegen.load(tiny) as model:
        return walk(model, [1, 7], ["#ff4040", "#40ff40"], 6).images


@pytest.mark.parametrize(("suffix", "apart"), [("png", 0), ("webp", 0), ("gif", 3)])
def test_an_animation_plays_there_and_back_for_ever(sample: Run, images: Any, suffix: str, apart: int) -> None:
    result = sample(*CALL, "-o", f"walk.{suffix}", "--size", 84)
    assert (result.code, result.paths) == (0, [f"walk.{suffix}"])
    frames, durations, loops = film(f"walk.{suffix}")
    expected = vaegen.enlarge(images, 84)[[0, 1, 2, 3, 4, 5, 4, 3, 2, 1]]
    assert np.abs(frames.astype(int) - expected).max() <= apart
    assert (frames[:, 0, 0] == 0).all()  # black stays black
    assert (durations, loops) == ([500, 50, 50, 50, 50, 500, 50, 50, 50, 50], 0)


def test_frames_as_an_array_and_file_by_file(sample: Run, images: Any, process: Callable[..., Any], tiny: Path) -> None:
    assert sample(*CALL, "-o", "walk.npy").paths == ["walk.npy"]
    assert (np.load("walk.npy") == images).all()
    sample(*CALL, "-o", "smooth.npy", "--size", 40)
    assert (np.load("smooth.npy") == vaegen.enlarge(images, 40)).all()
    assert sample(*CALL, "-o", "f/at %02d.png").paths == [str(Path("f", f"at 0{frame}.png")) for frame in range(6)]
    for frame, image in enumerate(images):
        with Image.open(Path("f", f"at 0{frame}.png")) as file:
            assert (np.asarray(file) == image).all()
            assert (file.info["vaegen:walk"], file.info["vaegen:frame"]) == ("1:#ff4040 to 7:#40ff40", str(frame))
    assert sample(*CALL, "-o", "f/").paths == [str(Path("f", "ff4040-1-to-40ff40-7.png"))]
    assert sample(*CALL, "-o", "100%.png").paths == ["100%.png"]
    out, _ = process("sample", "--model", tiny, *CALL, "-o", "-").communicate()
    assert len(film(io.BytesIO(out))[0]) == 10


def test_json_and_stderr_tell_of_each_frame(sample: Run, run: Run) -> None:
    told = json.loads(sample(*CALL, "--json").out)
    frames = told.pop("images")
    assert (told["walk"], told["frames"], told["index"]) == ("1:#ff4040 to 7:#40ff40", 6, 0)
    assert [frame["frame"] for frame in frames] == list(range(6))
    assert [frame["share"] for frame in frames] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert [(frames[end]["digit"], frames[end]["color"], frames[end]["accepted"]) for end in (0, -1)] == [
        (1, "#ff4040", True),
        (7, "#40ff40", True),
    ]
    result = run("sample", "--walk", "3:red", "8:gold", "--frames", 48, "--json", "-o", "long.gif")
    unclear = [frame["frame"] for frame in json.loads(result.out)["images"] if not frame["clear"]]
    assert 0 < len(unclear) < 10
    assert result.err == f"vaegen: {len(unclear)} of 48 frames show no clear 3 or 8: {unclear[0]}-{unclear[-1]}\n"
    detailed = run("-v", "sample", "--walk", "3:red", "8:gold", "--frames", 3, "-o", "short.gif").err
    assert "vaegen: frame 0, red: reads as 3 (" in detailed


def test_a_walk_is_taken_as_an_example(sample: Run, run: Run) -> None:
    sample(*CALL, "-o", "walk.png", "--seed", 4, "--scale", 3)
    sample("--like", "walk.png", "-o", "again.png")
    assert Path("again.png").read_bytes() == Path("walk.png").read_bytes()
    for options, expected in (
        (("--color", "#4040ff"), "1:#4040ff to 7:#4040ff"),
        (("--walk", "2:#ff4040", "3:#ff4040"), "2:#ff4040 to 3:#ff4040"),
    ):
        sample("--like", "walk.png", *options, "-o", "other.png", "--force")
        with Image.open("other.png") as image:
            assert image.info["vaegen:walk"] == expected
            assert (image.info["vaegen:seed"], image.info["vaegen:frames"], image.size) == ("4", "6", (84, 84))
    assert sample("--like", "walk.png", "--digit", 5, "--color", "#ff4040").paths == ["ff4040-5.png"]
    result = run("verify", "walk.png")
    assert (result.code, "'walk.png' is of a walk; make it anew" in result.err) == (4, True)
    assert "vaegen verify" not in run("info", "walk.png").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--walk", "x", 8), "'x' is no end of a walk; write a digit, such as 3, or 3:red for one in a color"),
        (("--walk", "3:red", "8:blue", "--color", "gold"), "have a color of their own; leave out --color"),
        (("--walk", 3, 8, "--color", "red,gold,teal"), "a walk has 2 ends, and there are 3 colors"),
        (("--walk", 3, 8, "--digit", 1), "--walk and --digit exclude each other; leave out one of them"),
        (("--walk", 3, 8, "--grid"), "--walk and --grid exclude each other"),
        (("--walk", 3, 8, "--count", 2), "--walk and --count exclude each other"),
        (("--frames", 8), "--frames counts those of a walk; add --walk FROM TO"),
        (("--walk", 3, 8, "--frames", 1), "1 is not in the range 2<=x<=240"),
        (("--walk", 3, 8, "--frames", 240, "--scale", 64), "take more than 256 MiB; lower --frames or --scale"),
        (("--walk", 3, 8, "-o", "walk.jpg"), "does not end in .png or .gif or .webp or .npy"),
        (("--walk", 3, 8, "-o", "walk.gif", "--format", "png"), "contradict each other"),
        (("--walk", 3, 8, "--format", "svg"), "--format svg holds no animation"),
        (("--walk", 3, 8, "--temperature", 0), "choose a number above 0"),
    ],
)
def test_what_is_refused(sample: Run, here: Path, options: tuple[object, ...], message: str) -> None:
    result = sample(*options)
    assert (result.code, result.out, message in result.err) == (2, "", True), result.err
    assert list(here.iterdir()) == []


def test_nothing_is_overwritten(sample: Run, here: Path) -> None:
    for name in ("walk.gif", "f/3.png"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("mine")
    for name in ("walk.gif", "f/%d.png"):
        result = sample(*CALL, "-o", name)
        assert (result.code, "exists; --force overwrites it" in result.err) == (2, True)
    assert {str(path.relative_to(here)) for path in here.rglob("*.*")} == {"walk.gif", "f/3.png"}
    assert sample(*CALL, "-o", "f/%d.png", "--force").code == 0
