"""Pictures say how they were made: `vaegen info`, `vaegen verify` and `vaegen sample --like`."""

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen.encoding import encode_png

Run = Callable[..., Any]

# Of each kind of file that `vaegen sample` and `vaegen decode` write.
MADE = {
    "one": ("sample", "--digit", 3, "--color", "red"),
    "the last of many": ("sample", "--digit", "3,4", "--color", "255,128,0", "--count", 2, "--seed", 2**64 - 1),
    "styled and enlarged": ("sample", "--digit", 7, "--color", "hsl(30,100%,50%)", "--slant", 20, "--scale", 5),
    "the best of four": ("sample", "--digit", 8, "--color", "teal", "--best", 4, "--hand", 3, "--temperature", 0.5),
    "a sheet": ("sample", "--digit", "0-2", "--color", "red,teal", "--count", 3, "--grid", "--scale", 2, "--start", 9),
    "smooth strokes": ("sample", "--digit", 3, "--color", "red", "--size", 60),
    "a sheet of drawn colors": ("sample", "--digit", "0-2", "--count", 4, "--grid"),
    "a sheet of what is drawn": ("sample", "--count", 5, "--grid", "--thickness", 3),
    "a text": ("sample", "--text", "2026", "--color", "red,hsl(200, 100%, 50%)", "--best", 2, "--scale", 3),
    "a rainbow": ("sample", "--text", "007", "--color", "rainbow", "--start", 7, "--hand", 5),
    "a text of a drawn color": ("sample", "--text", "31", "--seed", 9),
    "a latent": ("decode", "--latent", "digit=4,red=1", "--scale", 3),
    "a latent in numbers": ("decode", "--latent", "1,0.5,0.25;4,1"),
}


@pytest.fixture
def make(run: Run, tiny: Path) -> Run:
    """Write the files of a call; gives the last."""
    return lambda *call: run(*call, "--model", tiny, "-o", "made/" if "--grid" not in call else "sheet.png").paths[-1]


def write(path: Path, texts: Mapping[str, str]) -> Path:
    path.write_bytes(
        encode_png(np.zeros((28, 28, 3), np.uint8), {f"vaegen:{key}": text for key, text in texts.items()})
    )
    return path


def texts_of(path: str) -> dict[str, str]:
    with Image.open(path) as image:
        return {str(key).removeprefix("vaegen:"): value for key, value in image.info.items()}


@pytest.mark.parametrize("kind", MADE)
def test_a_picture_is_made_anew_and_a_changed_one_is_found_out(run: Run, make: Run, tiny: Path, kind: str) -> None:
    file = make(*MADE[kind])
    result = run("verify", file, "--model", tiny)
    name = Path(file).name
    assert [line.split() for line in result.paths] == [["ok", name, check] for check in ("texts", "bundle", "pixels")]
    assert (result.code, result.err) == (0, "3 checks passed\n")

    texts = texts_of(file)
    with Image.open(file) as image:
        pixels = np.array(image)
    pixels[14, 14] ^= 128
    Path(file).write_bytes(encode_png(pixels, {f"vaegen:{key}": text for key, text in texts.items()}))
    result = run("verify", file, "--model", tiny, "--json")
    assert result.code == 3
    assert f"{name}: 1 of {pixels.shape[0] * pixels.shape[1]} pixels are not what its texts ask for" in result.err
    assert [check["name"] for check in json.loads(result.out)["checks"] if check["problem"]] == ["pixels"]


def test_smooth_strokes_are_verified_and_told_from_another_machines(run: Run, here: Path) -> None:
    with vaegen.load("joint") as model:
        images = model.sample([3, 4], "red")
        texts = ONE | {"model": "joint", "digit": "3,4", "grid": "2x1", "count": "1", "size": "56"}
    named = {f"vaegen:{key}": text for key, text in texts.items()}
    other = images ^ (np.random.default_rng(0).random(images.shape) < 0.03)
    broken = images.copy()
    broken[1] = 0
    for pictures, code, part in (
        (images, 0, "3 checks passed"),
        (other, 3, "; scaled down it is, as where another processor drew it"),
        (broken, 3, " of 255\n"),
    ):
        (here / "sheet.png").write_bytes(encode_png(np.concatenate([*vaegen.enlarge(pictures, 56)]), named))
        result = run("verify", "sheet.png")
        assert (result.code, part in result.err) == (code, True), result.err


def test_the_model_is_the_one_that_the_picture_names(run: Run, tiny: Path) -> None:
    run("sample", "--digit", 3, "--color", "red")
    assert run("verify", "red-3.png").code == 0
    result = run("verify", "red-3.png", "--model", "discrete")
    assert result.code == 3
    here = vaegen.load("discrete").manifest.identity[:12]
    assert f"made by the bundle '{texts_of('red-3.png')['bundle'][:12]}', and 'discrete' is '{here}' here" in result.err
    run("sample", "--digit", 3, "--color", "red", "--model", tiny, "-o", "tiny.png")
    for call in (("verify", "tiny.png"), ("sample", "--like", "tiny.png", "--digit", 5)):
        result = run(*call)
        assert result.code == 2
        assert "'tiny.png' was made by 'tiny', which is not installed; give the folder of its bundle" in result.err
        assert run(*call, "--model", tiny).code == 0


@pytest.mark.parametrize(
    ("key", "model", "part"), [("k.pem", None, "--key is for bundles"), (None, "joint", "--model")]
)
def test_each_option_of_verify_has_its_use(run: Run, key: str, model: str, part: str) -> None:
    run("sample", "--digit", 3, "--color", "red")
    options = [*(["--key", key] if key else []), *(["--model", model] if model else [])]
    result = run("verify", "red-3.png" if key else "joint", *options)
    assert result.code == 2
    assert part in result.err


def test_what_a_picture_says_is_shown(run: Run, make: Run) -> None:
    file = make(*MADE["the best of four"])
    text = run("info", file).out
    assert text.startswith(f"{file}: 28 x 28 pixels\n")
    for key, value in texts_of(file).items():
        assert f"  {key:<11}  {value}\n" in text
    facts = json.loads(run("info", file, "--json").out)
    assert facts == {"file": file, "width": 28, "height": 28, "texts": texts_of(file)}
    sheet = make(*MADE["a sheet of drawn colors"], "--count", 12)
    assert max(map(len, run("info", sheet).paths)) <= 120
    assert "... (287 characters)" in run("info", sheet).out


ONE = {"model": "tiny", "seed": "0", "temperature": "1.0", "tries": "8", "index": "0", "digit": "3", "color": "red"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seed": "-1"}, "its vaegen:seed is '-1', no integer from 0 to 18446744073709551615"),
        ({"seed": "9" * 5000}, "its vaegen:seed is '999"),
        ({"index": "1e3"}, "its vaegen:index is '1e3'"),
        ({"temperature": "nan"}, "its vaegen:temperature is 'nan', no number from 0 to 10"),
        ({"slant": "9" * 20}, "its vaegen:slant"),
        ({"tries": "1000000000"}, "its vaegen:tries is '1000000000', no integer from 1 to 1000"),
        ({"best": "4"}, "it has tries and best among its texts"),
        ({"digit": "33"}, "its vaegen:digit: digit '33' does not exist"),
        ({"digit": "3,4"}, "its vaegen:digit has 2 entries; 1 would fit"),
        ({"color": "blu"}, "its vaegen:color: unknown color 'blu'"),
        ({"color": "\x1b[2J\u202ered"}, r"unknown color '\x1b[2J\u202ered'"),
        ({"grid": "0x1", "count": "1"}, "its vaegen:grid is '0x1'"),
        ({"grid": "1x1", "count": "1000000000"}, "28 x 28 pixels; its texts ask for 885444 x 885444"),
        ({"grid": "1x1"}, "it has no text vaegen:count"),
        ({"digit": None}, "it has no text vaegen:digit"),
        ({"size": "27"}, "its vaegen:size is '27', no integer from 28 to 4096"),
        ({"size": "4096"}, "28 x 28 pixels; its texts ask for 4096 x 4096"),
        ({"text": "2.6"}, "its vaegen:text: text '2.6' is not made of digits alone"),
        ({"text": "26", "color": "blu"}, "its vaegen:text: unknown color 'blu'"),
        ({"text": "26", "color": None}, "its vaegen:text: it has no text vaegen:color"),
        ({"walk": "3:red"}, "its vaegen:walk: '' is no end of a walk"),
        ({"walk": "3:red to 8:blu", "frames": "5"}, "its vaegen:walk: unknown color 'blu'"),
        ({"walk": "3:red to 8:blue", "frames": "9999"}, "its vaegen:walk: its vaegen:frames is '9999'"),
        ({"made of": "air"}, "its text 'vaegen:made of' is not known to this version of vaegen"),
        ({"bundle": "\x07" * 90}, r"made by the bundle '\x07\x07"),
    ],
)
def test_nothing_in_a_file_is_believed(
    run: Run, tiny: Path, here: Path, changes: dict[str, str | None], problem: str
) -> None:
    write(here / "x.png", {key: text for key, text in {**ONE, **changes}.items() if text is not None})
    result = run("verify", "x.png", "--model", tiny)
    assert result.code == 3
    assert problem in result.err
    assert result.err.count("\n") == 1
    assert result.err[:-1].isprintable()
    assert run("info", "x.png").code == 0
    assert all(line.isprintable() for line in run("info", "x.png").paths)
    like = run("sample", "--like", "x.png", "--model", tiny, "-o", "y.png")
    if "pixels" not in problem and "bundle" not in problem:
        assert (like.code, "'x.png' cannot be an example: " in like.err) == (2, True)


def test_a_model_is_never_a_path_that_a_picture_names(run: Run, tiny: Path, here: Path) -> None:
    write(here / "x.png", ONE | {"model": str(tiny)})
    for call in (("verify", "x.png"), ("sample", "--like", "x.png", "-o", "y.png")):
        result = run(*call)
        assert (result.code, "which is not installed" in result.err) == (2, True)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_files_that_say_nothing_and_files_that_are_none(run: Run, tiny: Path, here: Path) -> None:
    run("sample", "--digit", 3, "--color", "red", "--model", tiny, "-o", "good.png")
    good = (here / "good.png").read_bytes()
    at = good.index(b"IDAT") - 4
    seed = chunk(b"tEXt", b"vaegen:seed\x005")
    big = chunk(b"tEXt", b"vaegen:x\0" + bytes(3 * 2**20))
    with Image.open("good.png") as image:
        image.save("plain.png", pnginfo=None)
        image.save("photo.jpg")
    run("reconstruct", "good.png", "again.png", "--model", tiny)
    np.save("latents.npy", np.zeros((1, 23), np.float32))
    run("decode", "latents.npy", "--model", tiny, "-o", "decoded.png")
    files = {
        "twice.png": (good[:at] + seed + seed + good[at:], "it has the text 'vaegen:seed' twice"),
        "big.png": (good[:at] + big + good[at:], "its texts are larger than 2 MiB"),
        "torn.png": (good[:-30], "damaged: it ends too early"),
        "flipped.png": (good.replace(b"vaegen:seed", b"vaegen:sead"), "damaged: the checksum of a text is wrong"),
        "empty.png": (b"", "not a PNG file"),
        "photo.jpg": (None, "not a PNG file"),
        "absent.png": (None, "No such file or directory"),
        "plain.png": (None, "does not say how it was made"),
        "again.png": (None, "does not say how it was made"),
    }
    for name, (data, problem) in files.items():
        if data is not None:
            (here / name).write_bytes(data)
        for call in (("verify", name, "--model", tiny), ("info", name), ("sample", "--like", name)):
            result = run(*call)
            assert (result.code, result.out, problem in result.err) == (4, "", True), (call, result)
    result = run("verify", "decoded.png", "--model", tiny)
    assert (result.code, "was decoded from a file of latents" in result.err) == (4, True)
    result = run("sample", "--like", "decoded.png")
    assert (result.code, "--like takes those of `vaegen sample`" in result.err) == (2, True)
    (here / "cut.png").write_bytes(good.replace(chunk(b"IEND", b""), chunk(b"IDAT", b"x") + chunk(b"IEND", b"")))
    assert run("verify", "cut.png", "--model", tiny).code in (0, 3)  # its pixels are read as any picture's


@pytest.mark.parametrize("kind", [kind for kind, call in MADE.items() if call[0] == "sample"])
def test_like_brings_a_picture_back(run: Run, make: Run, tiny: Path, kind: str) -> None:
    file = make(*MADE[kind])
    run("sample", "--like", file, "--model", tiny, "-o", "again.png")
    assert Path("again.png").read_bytes() == Path(file).read_bytes()


def test_what_is_given_goes_before_the_picture(run: Run, make: Run, tiny: Path) -> None:
    file = make("sample", "--digit", 3, "--color", "red", "--seed", 5, "--slant", 10, "--tries", 3, "--scale", 2)
    options = ("--like", file, "--color", "teal", "--best", 2, "--start", 4)
    assert run("sample", *options, "--model", tiny).paths == ["teal-3.png"]
    texts, before = texts_of("teal-3.png"), texts_of(file)
    assert before.pop("tries") == "3"
    assert texts == before | {"color": "teal", "best": "2", "index": "4"}
    with Image.open("teal-3.png") as image:
        assert image.size == (56, 56)
    run("sample", "--like", "teal-3.png", "--tries", 9, "--digit", "1,2", "--model", tiny, "-o", "more/")
    del texts["best"]
    assert texts_of("more/teal-2.png") == texts | {"digit": "2", "index": "5", "tries": "9"}
    result = run("sample", "--like", file, "--best", 2, "--tries", 2, "--model", tiny)
    assert (result.code, "--tries and --best exclude each other" in result.err) == (2, True)


def test_a_model_that_has_changed_since_is_told(run: Run, here: Path) -> None:
    write(here / "old.png", ONE | {"model": "joint", "bundle": "ab12"})
    result = run("sample", "--like", "old.png")
    assert result.code == 0
    assert "warning: 'old.png' was made by the bundle 'ab12', and 'joint' is" in result.err
    assert run("sample", "--like", "old.png", "--model", "joint", "--force").err == ""
