import io
import json
import subprocess
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


@pytest.fixture(scope="module")
def model(tiny: Path) -> vaegen.Model:
    return vaegen.load(tiny)


@pytest.fixture
def reconstruct(run: Run, tiny: Path) -> Run:
    return lambda *arguments: run("reconstruct", "--model", tiny, *arguments)


@pytest.fixture
def folder(here: Path, model: vaegen.Model) -> Path:
    """Four images in two folders, and a text file."""
    images = model.sample([0, 1, 2, 3], ["red", "lime", "blue", "orange"])
    for name, image in zip(("a.png", "b.bmp", "sub/c.png", "sub/d.png"), images, strict=True):
        path = here / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (here / "in" / "notes.txt").write_text("not an image")
    return here / "in"


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file(reconstruct: Run, folder: Path, model: vaegen.Model) -> None:
    result = reconstruct("in/a.png", "out.png")
    assert (result.code, result.out, result.err) == (0, "out.png\n", "")
    assert (pixels("out.png") == model.reconstruct(pixels("in/a.png")[None])[0]).all()


def test_a_file_into_a_folder(reconstruct: Run, folder: Path) -> None:
    assert reconstruct("in/b.bmp", "new/").paths == [str(Path("new/b.png"))]
    assert tree(Path("new")) == ["b.png"]


def test_a_large_image_is_fitted(reconstruct: Run, here: Path, model: vaegen.Model) -> None:
    large = model.sample(7, "red")[0].repeat(10, 0).repeat(10, 1)
    Image.fromarray(large).save("large.png")
    assert reconstruct("large.png", "out.png").code == 0
    assert model.judge(pixels("out.png")[None])[0].argmax() == 7


@pytest.mark.parametrize(("name", "form"), [("out.jpeg", "JPEG"), ("out.TIFF", "TIFF"), ("out.jpg", "JPEG")])
def test_suffixes_that_formats_also_have(reconstruct: Run, folder: Path, name: str, form: str) -> None:
    assert reconstruct("in/a.png", name).out == f"{name}\n"
    with Image.open(name) as image:
        assert image.format == form
    assert "contradict" in reconstruct("in/a.png", name, "--format", "png", "--force").err


@pytest.mark.parametrize(
    "arguments", [("reconstruct", "big/", "out/"), ("encode", "big/"), ("reconstruct", "big/a.jfif", "a.png")]
)
def test_pixels_may_be_more_or_fewer(run: Run, tiny: Path, here: Path, arguments: tuple[str, ...]) -> None:
    (here / "big").mkdir()
    Image.new("RGB", (100, 100)).save(here / "big" / "a.jfif", "JPEG")
    refused = run(*arguments, "--model", tiny, "--max-pixels", "9999")
    assert refused.code == 4
    assert (
        "100 x 100 pixels are more than the 9999 that are read; if the file can be trusted, raise --max-pixels"
        in refused.err
    )
    assert (
        run(*arguments, "--model", tiny, "--max-pixels", "10000", *(["--force"] * (arguments[0] != "encode"))).code == 0
    )


def test_stochastic_depends_on_the_seed(reconstruct: Run, folder: Path, model: vaegen.Model) -> None:
    for name, options in {"one": (), "two": ("--seed", 1), "same": ()}.items():
        assert reconstruct("in/a.png", f"{name}.png", "--stochastic", *options).code == 0
    one, two, same = (pixels(f"{name}.png") for name in ("one", "two", "same"))
    assert (one == same).all()
    assert (one != two).any()
    assert (one == model.reconstruct(pixels("in/a.png")[None], stochastic=True)[0]).all()


@pytest.mark.parametrize("name", ["a.png", "b.bmp", "c.gif", "c.jpg", "c.tif", "c.webp"])
def test_image_bytes_on_stdin(
    reconstruct: Run, folder: Path, model: vaegen.Model, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.startswith("c"):
        Image.fromarray(pixels("in/a.png")).save(folder / name)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((folder / name).read_bytes())))
    assert reconstruct("-", "new/").paths == [str(Path("new/stdin.png"))]
    assert (pixels("new/stdin.png") == model.reconstruct(vaegen.read_image(folder / name)[None])[0]).all()


def test_image_bytes_from_stdin_to_stdout(
    process: Callable[..., Any], tiny: Path, folder: Path, model: vaegen.Model
) -> None:
    started = process("reconstruct", "-", "-", "--model", tiny, stdin=subprocess.PIPE)
    out, err = started.communicate((folder / "a.png").read_bytes())
    assert err == b""
    assert (pixels(io.BytesIO(out)) == model.reconstruct(pixels("in/a.png")[None])[0]).all()


@pytest.mark.parametrize(
    ("data", "arguments", "code", "part"),
    [
        (b"", ("out",), 2, "stdin is empty"),
        (b"\n \r\n", ("out",), 2, "stdin is empty"),
        (b"in/a.png\0in/b.bmp\0", ("out",), 4, "add -0"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff", ("out",), 4, "cannot read stdin: "),
        (b"in/a.png\n", ("-",), 2, "OUT - takes one image"),
        (b"PNG\0\xff", ("out", "--report", "r.jsonl"), 2, "--report is for folders"),
    ],
)
def test_what_stdin_cannot_be(
    reconstruct: Run,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    arguments: tuple[str, ...],
    code: int,
    part: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    result = reconstruct("-", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1)
    assert part in result.err


def test_json_of_a_file(reconstruct: Run, folder: Path) -> None:
    assert json.loads(reconstruct("in/a.png", "out.png", "--json").out) == {"source": "in/a.png", "target": "out.png"}


def test_image_bytes_to_stdout(process: Callable[..., Any], tiny: Path, folder: Path, model: vaegen.Model) -> None:
    out, err = process("reconstruct", "in/a.png", "-", "--model", tiny).communicate()
    assert err == b""
    assert (pixels(io.BytesIO(out)) == model.reconstruct(pixels("in/a.png")[None])[0]).all()


def test_a_folder_is_mirrored(reconstruct: Run, folder: Path, model: vaegen.Model) -> None:
    result = reconstruct("in", "out")
    left_out = "left out: 1 other file; -v names each\n"
    assert (result.code, result.out, result.err) == (0, "out\n", left_out + "4 of 4 images reconstructed\n")
    assert tree(Path("out")) == ["a.png", "b.png", "sub/c.png", "sub/d.png"]
    assert (pixels("out/sub/c.png") == model.reconstruct(pixels("in/sub/c.png")[None])[0]).all()
    assert reconstruct("in", "out", "--force", "-q").err == ""


def test_one_bad_file_is_reported_and_skipped(reconstruct: Run, folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"no image")
    result = reconstruct("in", "out", "--report", "logs/report.jsonl", "--json")
    assert result.code == 1
    lines = result.err.splitlines()
    assert lines[0].startswith("vaegen: cannot read 'in/bad.png'")
    assert lines[1:] == ["left out: 1 other file; -v names each", "4 of 5 images reconstructed, 1 failed"]
    facts = json.loads(result.out)
    assert (facts["planned"], facts["written"], len(facts["failures"])) == (5, 4, 1)
    assert facts["ignored"] == {"other file": 1}
    assert facts["failures"][0]["source"] == "in/bad.png"
    report = [json.loads(line) for line in Path("logs/report.jsonl").read_text().splitlines()]
    assert [(line["path"], line["status"], line["reason"] is None, line.get("mse") is None) for line in report] == [
        ("notes.txt", "ignored", False, True),
        ("a.png", "written", True, False),
        ("b.bmp", "written", True, False),
        ("bad.png", "failed", False, True),
        ("sub/c.png", "written", True, False),
        ("sub/d.png", "written", True, False),
    ]
    assert tree(Path("out")) == ["a.png", "b.png", "sub/c.png", "sub/d.png"]
    # An error is shown whatever the verbosity.
    assert reconstruct("in", "out", "--force", "-q").err.count("\n") == 1


def test_nothing_but_bad_files(reconstruct: Run, here: Path) -> None:
    (here / "in").mkdir()
    (here / "in" / "bad.png").write_bytes(b"no image")
    result = reconstruct("in", "out")
    assert (result.code, result.out) == (4, "")
    assert result.err.splitlines()[-1] == "0 of 1 images reconstructed, 1 failed"
    assert not (here / "out").exists() or tree(here / "out") == []


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("in", "in"), 2, "source folder"),
        (("in", "in/notes.txt/x"), 4, "in/notes.txt' is not a folder"),
        (("in", "out", "--report", ""), 2, "name one"),
        (("in", "out", "--report", "-"), 2, "name one"),
        (("in", "-"), 2, "one image"),
        (("in/a.png", "out.png", "--report", "r.jsonl"), 2, "--report"),
        (("in", "out", "--report", "in/notes.txt"), 2, "exists"),
        (("in", "out", "--seed", "-1"), 2, "seed -1"),
        (("nothing", "out"), 2, "holds no images"),
        (("in", "taken"), 2, "exists"),
        (("in", "file"), 4, "not a folder"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(
    reconstruct: Run, folder: Path, here: Path, arguments: tuple[str, ...], code: int, part: str
) -> None:
    (here / "nothing").mkdir()
    (here / "file").write_text("mine")
    (here / "taken" / "sub").mkdir(parents=True)
    (here / "taken" / "sub" / "c.png").write_bytes(b"mine")
    before = tree(here)
    result = reconstruct(*arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("vaegen: ")
    assert result.err.count("\n") == 1
    assert part in result.err
    assert tree(here) == before
    assert (here / "taken" / "sub" / "c.png").read_bytes() == b"mine"


def test_dry_run_tells_and_writes_nothing(reconstruct: Run, folder: Path, here: Path) -> None:
    before = tree(here)
    result = reconstruct("in", "out", "--dry-run", "--report", "r.jsonl")
    assert result.paths[0] == f"{Path('in/a.png')} -> {Path('out/a.png')}"
    assert len(result.paths) == 4
    assert reconstruct("in/a.png", "new/", "--dry-run").paths == [f"{Path('in/a.png')} -> {Path('new/a.png')}"]
    (planned,) = json.loads(reconstruct("in/a.png", "new/", "--dry-run", "--json").out)
    assert planned == {"source": str(Path("in/a.png")), "target": str(Path("new/a.png"))}
    for name in ("absent.png", "x" * 300):
        refused = reconstruct(name, "new/", "--dry-run")
        assert (refused.code, refused.out, refused.err.count("\n")) == (4, "", 1)
    for name in ("in", "in/a.png"):
        assert reconstruct(name, "").code == 2
    assert tree(here) == before
