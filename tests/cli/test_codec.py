"""`vaegen encode` and `vaegen decode`."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen import LatentSpec, RequestError
from vaegen_cli.latent_files import parse_latent

Run = Callable[..., Any]


@pytest.fixture
def digits(sample: Run, here: Path) -> Path:
    """Twenty images in two folders."""
    sample("--digit", "0-9", "--color", "red", "-o", "in/a/")
    sample("--digit", "0-9", "--color", "teal", "-o", "in/b/")
    return here / "in"


def names(digits: Path) -> list[str]:
    return [path.relative_to(digits).as_posix() for path in sorted(digits.rglob("*.png"))]


def pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_to_npz_and_back_is_its_reconstruction(run: Run, tiny: Path, digits: Path, here: Path) -> None:
    result = run("encode", digits, "-o", "latents.npz", "--model", tiny)
    assert (result.code, result.out, result.err) == (0, "latents.npz\n", "20 of 20 images encoded\n")
    model = vaegen.load(tiny)
    images = np.stack([vaegen.read_image(digits / name) for name in names(digits)])
    with np.load(here / "latents.npz", allow_pickle=False) as arrays:
        assert list(arrays) == ["names", "latents"]
        assert arrays["names"].tolist() == names(digits)
        assert arrays["latents"].dtype == np.float32
        np.testing.assert_array_equal(arrays["latents"], model.encode(images))

    result = run("decode", "latents.npz", "-o", "out", "--model", tiny)
    assert result.code == 0
    assert result.paths == [str(Path("out", name)) for name in names(digits)]
    for name, expected in zip(names(digits), model.reconstruct(images), strict=True):
        np.testing.assert_array_equal(pixels(here / "out" / name), expected)


def test_json_lines_hold_the_same_numbers(run: Run, tiny: Path, digits: Path, here: Path) -> None:
    run("encode", digits, "-o", "latents.npz", "--posterior", "--model", tiny)
    result = run("-q", "encode", digits, "--posterior", "--model", tiny)
    assert (result.code, result.err) == (0, "")
    run("encode", digits, "-o", "latents.jsonl", "--posterior", "--model", tiny)
    assert (here / "latents.jsonl").read_text() == result.out
    lines = [json.loads(line) for line in result.paths]
    with np.load(here / "latents.npz") as arrays:
        assert [line["name"] for line in lines] == arrays["names"].tolist()
        for key, array in (("latent", "latents"), ("mean", "mean"), ("log_variance", "log_variance")):
            np.testing.assert_array_equal(np.array([line[key] for line in lines], np.float32), arrays[array])
        assert arrays["logits"].shape == (20, 2, 10)
        np.testing.assert_array_equal(np.array([line["logits"] for line in lines], np.float32), arrays["logits"])
    run("decode", "latents.npz", "-o", "one.npy", "--model", tiny)
    run("decode", "latents.jsonl", "-o", "two.npy", "--model", tiny)
    assert (here / "one.npy").read_bytes() == (here / "two.npy").read_bytes()


def test_files_and_folders_may_be_mixed_and_bad_ones_are_named(run: Run, tiny: Path, digits: Path, here: Path) -> None:
    (digits / "bad.png").write_bytes(b"no image")
    result = run("encode", digits / "a" / "red-3.png", digits, "--model", tiny)
    assert result.code == 1
    found = [json.loads(line)["name"] for line in result.paths]
    given = str(digits / "a" / "red-3.png").lstrip("/")
    assert found == [given, *(name for name in names(digits) if name != "bad.png")]
    assert "bad.png" in result.err
    assert "21 of 22 images encoded, 1 failed" in result.err
    result = run("encode", digits / "bad.png", "-o", "latents.npz", "--model", tiny)
    assert (result.code, result.out) == (4, "")
    assert not (here / "latents.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("encode", "in", "-o", "latents.csv"), ".npz or .jsonl"),
        (("encode", "in", "-o", "folder/"), "not a file name"),
        (("encode", "in", "-o", "there.npz"), "exists"),
        (("encode", "empty"), "holds no images"),
        (("encode", "in", ""), "IN is empty"),
        (("encode", "in", "-0"), "-0 is for a list"),
        (("encode", "in", "--report", "in/a/red-3.png", "--force"), "one of the images"),
        (("encode", "in", "-o", "r.jsonl", "--report", "r.jsonl"), "is the output"),
        (("decode",), "--latent"),
        (("decode", "in/a/red-3.png"), ".npz, .npy, .jsonl"),
        (("decode", "--latent", "1,2"), "3 numbers"),
        (("decode", "--latent", "hue=0.5"), "choose from red, green, blue, digit, place"),
        (("decode", "--latent", "digit=3,red"), "write name=number"),
        (("decode", "--latent", "red=nan"), "write name=number"),
        (("decode", "--latent", "red=1,red=2"), "'red' twice"),
        (("decode", "--latent", "digit=3.5"), "digit 3.5"),
        (("decode", "--latent", "1,2,nan;0,0"), "finite"),
        (("decode", "--latent", "0,0,0;0,10"), "classes from 0 to 9"),
        (("decode", "--latent", "0,0,0;0,0", "--latent", "0,0,0;1,1", "-o", "x.png"), "--grid"),
        (("decode", "--latent", "0,0,0;0,0", "-o", "-", "--json"), "--json"),
        (("decode", "--latent", "0,0,0;0,0", "-o", "x.png", "--format", "npy"), "contradict"),
    ],
)
def test_wrong_requests(run: Run, tiny: Path, digits: Path, here: Path, arguments: tuple[str, ...], part: str) -> None:
    (here / "there.npz").write_text("mine")
    (here / "empty").mkdir()
    result = run(*arguments, "--model", tiny)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("vaegen: ")
    assert result.err.count("\n") == 1
    assert part in result.err
    assert (here / "there.npz").read_text() == "mine"
    assert sorted(path.name for path in here.iterdir()) == ["empty", "in", "there.npz"]


def test_picking_a_latent_by_hand(run: Run, tiny: Path, here: Path) -> None:
    assert run("decode", "--model", tiny, "--latent", "-9,9,-9;7,4").paths == ["latent.png"]
    picture = pixels(here / "latent.png")
    model = vaegen.load(tiny)
    latent = np.zeros((1, 23), np.float32)
    latent[0, :3] = -9, 9, -9
    latent[0, [3 + 7, 13 + 4]] = 1
    np.testing.assert_array_equal(picture, model.decode(latent)[0])
    assert int(model.judge(picture[None]).argmax()) == 7
    assert picture.reshape(-1, 3).max(0).tolist() == [0, 255, 0]
    with Image.open(here / "latent.png") as image:
        assert image.info["vaegen:latent"] == "-9,9,-9;7,4"
    run("decode", "--model", tiny, "--latent", "red=-9, green=9,blue=-9e0,digit=7,place=4", "-o", "named.png")
    assert (pixels(here / "named.png") == picture).all()

    result = run("decode", "--model", tiny, "--latent", "0:9;1,4", "--latent", "1:9;2,4", "--json")
    files = [entry["file"] for entry in json.loads(result.out)["images"]]
    assert files == ["latent-000.png", "latent-001.png"]
    run(
        "decode", "--model", tiny, "--latent", "0:9;1,4", "--latent", "1:9;2,4", "--grid", "--scale", "2", "-o", "g.png"
    )
    assert pixels(here / "g.png").shape == (56, 112, 3)


@pytest.mark.parametrize(
    ("spec", "text", "expected"),
    [
        (LatentSpec(2), "0.5,-1", [0.5, -1]),
        (LatentSpec(2), "0.5,-1;", [0.5, -1]),
        (LatentSpec(3), "2:4", [0, 0, 4]),
        (LatentSpec(0, (2, 3)), "2,0", [0, 0, 1, 1, 0, 0]),
        (LatentSpec(0, (2, 3)), ";2,0", [0, 0, 1, 1, 0, 0]),
        (LatentSpec(0, (1, 2)), "0.25,0.75", [0.25, 0.75]),
        (LatentSpec(1, (1, 2)), "5;1", [5, 0, 1]),
        (LatentSpec(1, (1, 2)), "5,0.5,0.5", [5, 0.5, 0.5]),
    ],
)
def test_spellings(spec: LatentSpec, text: str, expected: list[float]) -> None:
    assert parse_latent(text, spec) == expected


@pytest.mark.parametrize("text", ["", ";", "x", "1,2,3,4", "0:1", "0:1;1,9", "3:1;0,0", "-1:1;0,0", "1,2,3;0", "1;0,0"])
def test_spellings_that_do_not_fit(text: str) -> None:
    with pytest.raises(RequestError, match=r"3 numbers .* 2 classes from 0 to 3; or all 11 numbers"):
        parse_latent(text, LatentSpec(3, (2, 4)))


def test_names_from_a_file_never_lead_out_of_the_target(run: Run, tiny: Path, here: Path) -> None:
    latents = np.zeros((1, 23), np.float32)
    for name in ("../x.png", "/tmp/x.png", "a/../../x", "..\\x", "C:/x", ""):
        np.savez(here / "hostile.npz", names=np.array([name]), latents=latents)
        result = run("decode", "hostile.npz", "-o", "out/", "--model", tiny)
        assert (result.code, result.out) == (2, "")
        assert "leads out of" in result.err
    assert [path.name for path in here.iterdir()] == ["hostile.npz"]


@pytest.mark.parametrize(
    ("given", "files"),
    [
        (["a.png", "a.jpg"], ["a.png.png", "a.jpg.png"]),
        (["a.jpg", "a.png", "a.jpg.gif"], ["a.jpg.png", "a.png.png", "a.jpg.gif.png"]),
        (["a.jpg", "a.png/b", "c"], ["a.jpg.png", "a.png/b.png", "c.png"]),
        (["A.png", "a.png"], ["A.png", "a.png"]),
        (["a.png", "a.png"], None),
        (["a.png", "./a.png"], None),
    ],
)
def test_latents_of_like_names(run: Run, tiny: Path, here: Path, given: list[str], files: list[str] | None) -> None:
    np.savez(here / "twice.npz", names=np.array(given), latents=np.zeros((len(given), 23), np.float32))
    result = run("decode", "twice.npz", "-o", "out/", "--model", tiny)
    if files is None:
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "-o FILE.npy or --grid needs no names" in result.err
        assert not (here / "out").exists()
    else:
        assert result.paths == [str(Path("out", file)) for file in files]


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["in/cut.jpg", "in/cut.png"], ["in/cut.jpg.png", "in/cut.png.png"]),
        (["in", "in2"], ["cut.jpg.png", "cut.png.png", "in/d/x.png", "in2/d/x.png", "other.png"]),
        (["in", "in/d"], ["cut.jpg.png", "cut.png.png", "d/x.png", "x.png"]),
        (["in2/d/x.png", "in2/d/x.png"], ["in2/d/x.png", "in2/d/x-2.png"]),
        (["../here/in/cut.png", "in/../in/cut.png"], ["here/in/cut.png", "in/in/cut.png"]),
        (["/HERE/in/cut.png"], ["HERE/in/cut.png"]),
        (["odd"], ["12_30.png", "C_x.png", "odd/a_b.png", "odd/a_b-2.png", "b_.png"]),
    ],
)
def test_what_encode_writes_decode_reads(
    run: Run, tiny: Path, digits: Path, here: Path, sources: list[str], expected: list[str]
) -> None:
    data = (digits / "a" / "red-3.png").read_bytes()
    shutil.rmtree(digits)
    (here / "odd").mkdir()
    for name in ("in/cut.jpg", "in/cut.png", "in/d/x.png", "in2/d/x.png", "in2/other.png"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(data)
    for name in ("12:30.png", "a\\b.png", "a_b.png", "C:x.png", "b\\.png"):
        (here / "odd" / name).write_bytes(data)
    given = [source.replace("/HERE", str(here)) for source in sources]
    names = {str(Path("out", name.replace("HERE", str(here).lstrip("/")))) for name in expected}
    for suffix in ("npz", "jsonl"):
        assert run("encode", *given, "-o", f"l.{suffix}", "--model", tiny).code == 0
        result = run("decode", f"l.{suffix}", "-o", "out/", "--model", tiny, "--force")
        assert (result.code, set(result.paths)) == (0, names)


LINES: dict[str, Callable[[str], bytes]] = {
    "as written": lambda text: text.encode(),
    "byte-order mark": lambda text: ("\ufeff" + text).encode(),
    "blank lines of Windows": lambda text: b"\r\n" + text.replace("\n", "\r\n\r\n").encode() + b" \r\n",
    "UTF-16 of PowerShell": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "no end": lambda text: text.rstrip("\n").encode(),
}


@pytest.mark.parametrize("kind", LINES)
def test_lines_as_any_shell_writes_them(run: Run, tiny: Path, digits: Path, here: Path, kind: str) -> None:
    text = run("-q", "encode", digits / "a", "--model", tiny).out
    (here / "l.jsonl").write_bytes(LINES[kind](text))
    names = [str(Path("out", f"red-{digit}.png")) for digit in range(10)]
    assert run("decode", "l.jsonl", "-o", "out/", "--model", tiny).paths == names


def test_latents_on_stdin_are_told_apart_by_content(
    run: Run, tiny: Path, digits: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(data: bytes) -> Any:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        return run("decode", "-", "-o", "two.npy", "--force", "--model", tiny)

    for suffix in ("npz", "jsonl"):
        run("encode", digits / "a", "-o", f"l.{suffix}", "--model", tiny)
    with np.load("l.npz") as arrays:
        np.save("l.npy", arrays["latents"])
    run("decode", "l.npz", "-o", "one.npy", "--model", tiny)
    for suffix in ("npz", "jsonl", "npy"):
        assert decode((here / f"l.{suffix}").read_bytes()).code == 0
        assert (here / "one.npy").read_bytes() == (here / "two.npy").read_bytes()
        (here / "two.npy").unlink()
    for data in (b"", b"\n\n", b"PK\3\4", b"\x93NUMPY", b"\xff\xfe{"):
        result = decode(data)
        assert (result.code, result.err.count("\n")) == (4, 1)
        assert result.err.startswith("vaegen: cannot read '-'")


def test_encode_reads_stdin_and_reports(
    run: Run, tiny: Path, digits: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(data: bytes, *options: object) -> tuple[list[str], str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        result = run("encode", "-", "--model", tiny, *options)
        return [json.loads(line)["name"] for line in result.paths], result.err

    assert encode((digits / "a" / "red-3.png").read_bytes()) == (["stdin"], "1 of 1 images encoded\n")
    names = [b"in/a/red-3.png", b"none.png", b"in/a/._red-3.png", b"../here/in/b/teal-1.png"]
    for end, options in ((b"\n", ()), (b"\r\n", ()), (b"\0", ("-0",))):
        found, err = encode(end.join(names), *options, "--report", "r.jsonl", "--force")
        assert found == ["in/a/red-3.png", "here/in/b/teal-1.png"]
        assert "cannot read 'none.png'" in err
        assert err.endswith("left out: 1 system file; -v names each\n2 of 3 images encoded, 1 failed\n")
        report = [json.loads(line) for line in (here / "r.jsonl").read_text().splitlines()]
        assert [(line["path"], line["name"], line["status"]) for line in report] == [
            ("in/a/._red-3.png", None, "ignored"),
            ("in/a/red-3.png", "in/a/red-3.png", "written"),
            ("none.png", None, "failed"),
            ("../here/in/b/teal-1.png", "here/in/b/teal-1.png", "written"),
        ]


@pytest.mark.skipif(shutil.which("setpriv") is None and os.geteuid() == 0, reason="root may list any folder")
def test_one_bad_subfolder_does_not_stop_encode(tiny: Path, digits: Path, here: Path) -> None:
    (digits / "a" / "empty").mkdir()
    (digits / "closed").mkdir(mode=0)
    as_anybody = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*as_anybody, sys.executable, "-m", "vaegen_cli", "encode", "in", "in/a/empty", "--model", str(tiny)]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    (digits / "closed").chmod(0o700)
    assert (done.returncode, done.stdout.count("\n")) == (1, 20)
    assert "cannot list 'in/closed': Permission denied\n" in done.stderr
    assert "'in/a/empty' holds no images" in done.stderr
    assert done.stderr.endswith("20 of 21 images encoded, 1 failed\n")


def test_encode_ends_at_a_failure_when_asked(run: Run, tiny: Path, digits: Path, here: Path) -> None:
    (digits / "b" / "bad.png").write_bytes(b"no image")
    result = run("encode", digits, "--on-error", "fail", "--model", tiny)
    assert (result.code, len(result.paths)) == (1, 10)
    result = run("encode", digits, "-o", "l.npz", "--on-error", "fail", "--model", tiny)
    assert (result.code, result.out) == (4, "")
    assert not (here / "l.npz").exists()


def broken(folder: Path) -> dict[str, bytes]:
    np.savez(folder / "pickle.npz", latents=np.array([{}], object))
    np.savez(folder / "other.npz", data=np.zeros((1, 23), np.float32))
    np.savez(folder / "names.npz", names=np.array(["a", "b"]), latents=np.zeros((1, 23), np.float32))
    np.save(folder / "none.npy", np.zeros((0, 23), np.float32))
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 23), }"
    huge = b"\x93NUMPY\x01\x00" + (len(header)).to_bytes(2, "little") + header
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("latents.npy", huge)
    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".npz", ".npy")}
    return made | {
        "huge.npy": huge,
        "empty.npz": b"",
        "text.npz": b"no archive",
        "text.npy": b"no array",
        "text.jsonl": b"no json\n",
        "binary.jsonl": b"\xff\xfe\n",
        "list.jsonl": b"[1, 2]\n",
        "ragged.jsonl": b'{"latent": [1]}\n{"latent": [1, 2]}\n',
        "scalar.jsonl": b'{"latent": 1}\n{"latent": {"a": 1}}\n',
        "empty.jsonl": b"",
    }


def test_files_that_are_no_latents_are_one_clear_line(run: Run, tiny: Path, here: Path) -> None:
    for name, data in broken(here).items():
        (here / name).write_bytes(data)
        result = run("decode", name, "-o", "out/", "--model", tiny)
        assert (result.code, result.out) == (4, ""), name
        assert result.err.startswith(f"vaegen: cannot read '{name}'"), name
        assert result.err.count("\n") == 1
    assert run("decode", "absent.npz", "--model", tiny).code == 4
    assert not (here / "out").exists()


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
def test_names_that_are_not_utf8_survive(run: Run, tiny: Path, digits: Path, here: Path) -> None:
    os.mkdir(here / "odd")  # noqa: PTH102
    name = os.fsdecode(b"new\nline \xff.png")
    (here / "odd" / name).write_bytes((digits / "a" / "red-3.png").read_bytes())
    for out in ("odd.npz", "odd.jsonl"):
        assert run("encode", "odd", "-o", out, "--model", tiny).code == 0
        assert run("decode", out, "-o", f"from-{out}/", "--model", tiny, "--json").code == 0
        assert [path.name for path in (here / f"from-{out}").iterdir()] == [name]
