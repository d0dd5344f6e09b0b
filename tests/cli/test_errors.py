import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

RED_3 = ("--digit", "3", "--color", "red")


def refused(result: Any, code: int, *parts: str) -> None:
    """One line on stderr, nothing on stdout, the right exit code."""
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert result.err.startswith("vaegen: ")
    for part in parts:
        assert part in result.err
    assert result.code == code


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--color", "gren"), ("unknown color 'gren'", "green")),
        (("--color", "red,hsl(30,100%,50%),blu"), ("unknown color 'blu'", "blue")),
        (("--color", ""), ("unknown color ''",)),
        (("--color", "red,"), ("unknown color ''",)),
        (("--color", "black"), ("'black' is too dark", "32")),
        (("--color", "#ff000080"), ("alpha",)),
        (("--digit", "3", "--color"), ("requires an argument", "# begins a comment", "'#ff8000', in quotes")),
        (("--digit", "10"), ("digit '10' does not exist", "0 to 9")),
        (("--digit", "2026"), ("digit '2026' does not exist", "2,0,2,6 makes an image of each")),
        (("--digit", "-1"), ("digit '-1' does not exist",)),
        (("--digit", "0-9,x"), ("digit 'x' does not exist",)),
        (("--digit", "7-3"), ("digit '7-3' does not exist",)),
        (("--digit", ""), ("digit '' does not exist",)),
        (("--seed", "-1"), ("seed -1",)),
        (("--seed", str(2**64)), (f"seed {2**64}",)),
        (("--seed", "rand"), ("'rand' is not a valid integer",)),
        (("--start", "-1"), ("start -1",)),
        (("--start", "-1", *RED_3), ("start -1",)),
        (("--temperature", "0"), ("temperature 0",)),
        (("--temperature", "nan"), ("temperature nan",)),
        (("--tries", "0"), ("tries 0",)),
        (("--threads", "0"), ("threads 0",)),
        (("--digit", "0-9", "--count", "10001"), ("100010 images", "--start")),
        (("--count", "1000", "--scale", "64", "--grid"), ("1000 images", "--scale")),
        (("-o", ""), ("name is empty", "'.'")),
        (("-o", "red.jpg"), ("'red.jpg'", ".png or .npy")),
        (("-o", "red.png", "--format", "npy"), ("contradict",)),
        (("-o", "red.png", "--count", "2"), ("2 images", "--grid")),
        (("-o", "-", "--count", "2"), ("2 images", "--grid")),
        (("-o", "-", "--json"), ("--json",)),
    ],
)
def test_wrong_requests(sample: Run, here: Path, arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    refused(sample(*arguments), 2, *parts)
    assert list(here.iterdir()) == []


def test_unknown_model(run: Run, here: Path) -> None:
    refused(run("sample", "--model", "jiont", *RED_3), 2, "unknown model 'jiont'")
    refused(run("info", "jiont"), 2, "unknown model 'jiont'")
    assert list(here.iterdir()) == []


def test_a_folder_that_is_no_bundle(run: Run, here: Path) -> None:
    (here / "empty").mkdir()
    for model in ("./empty", "./absent"):
        refused(run("sample", "--model", model, *RED_3), 3, model[2:])
        refused(run("info", model), 3, model[2:])
    assert [path.name for path in here.iterdir()] == ["empty"]


@pytest.mark.parametrize("graph", ["encoder", "sampler", "prior", "decoder", "judge"])
def test_a_tampered_bundle(run: Run, here: Path, bundle: Path, graph: str) -> None:
    file = bundle / f"{graph}.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    refused(run("sample", "--model", bundle, *RED_3), 3, file.name, "tampered")
    refused(run("info", bundle), 3, file.name, "tampered")
    assert list(here.iterdir()) == []


def test_a_broken_manifest(run: Run, here: Path, bundle: Path) -> None:
    (bundle / "manifest.json").write_text("{}")
    refused(run("sample", "--model", bundle, *RED_3), 3, "manifest")
    assert list(here.iterdir()) == []


def test_an_unwritable_target(sample: Run, here: Path) -> None:
    (here / "file").write_text("mine")
    (here / "folder.png").mkdir()
    refused(sample(*RED_3, "-o", "file/red.png"), 4, "'file", "not a folder")
    refused(sample(*RED_3, "-o", "file/a/b/"), 4, "not a folder")
    refused(sample(*RED_3, "-o", "file"), 4, "not a folder")
    assert (here / "file").read_text() == "mine"
    assert list((here / "folder.png").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission(sample: Run, here: Path) -> None:
    (here / "locked").mkdir(mode=0o500)
    refused(sample(*RED_3, "-o", "locked/"), 4, "no permission")


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n cut off"])
def test_an_image_that_is_no_image(run: Run, tiny: Path, here: Path, content: bytes) -> None:
    (here / "in.png").write_bytes(content)
    refused(run("reconstruct", "in.png", "out.png", "--model", tiny), 4, "in.png")
    assert [path.name for path in here.iterdir()] == ["in.png"]


def test_an_image_that_is_not_there(run: Run, tiny: Path, here: Path) -> None:
    refused(run("reconstruct", "absent.png", "new/out.png", "--model", tiny), 4, "absent.png")
    assert list(here.iterdir()) == []


def test_reconstruct_never_takes_the_place_of_something(run: Run, tiny: Path, here: Path) -> None:
    run("sample", "--model", tiny, *RED_3)
    before = (here / "red-3.png").read_bytes()
    shutil.copy("red-3.png", "there.png")
    refused(run("reconstruct", "red-3.png", "there.png", "--model", tiny), 2, "'there.png' exists")
    refused(run("reconstruct", "red-3.png", "red-3.png", "--model", tiny, "--force"), 2, "the input itself")
    refused(run("reconstruct", "red-3.png", ".", "--model", tiny, "--force"), 2, "the input itself")
    refused(run("reconstruct", "red-3.png", "x.gif", "--model", tiny), 2, ".png")
    refused(run("reconstruct", "red-3.png", "x.npy", "--model", tiny), 2, ".png")
    assert (here / "red-3.png").read_bytes() == (here / "there.png").read_bytes() == before
    assert sorted(path.name for path in here.iterdir()) == ["red-3.png", "there.png"]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("smaple",), "'sample'"),
        (("sample", "--colour", "red"), "'--color'"),
        (("sample", "--count", "0"), "x>=1"),
        (("sample", "--format", "jpg"), "'png', 'npy'"),
        (("reconstruct", "in.png"), "OUT"),
        (("train", "jiont"), "'joint'"),
        (("export", "run"), "--out"),
    ],
)
def test_wrong_usage_is_explained_in_one_line(run: Run, arguments: tuple[str, ...], match: str) -> None:
    result = run(*arguments)
    refused(result, 2, match)
    verb = "" if arguments[0] == "smaple" else f" {arguments[0]}"
    assert result.err.endswith(f" Try 'vaegen{verb} -h'.\n")


def test_no_verb_shows_the_help(run: Run) -> None:
    result = run()
    assert result.code == 2
    assert "Commands:" in result.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(run: Run, tiny: Path, place: str) -> None:
    call = ["sample", "--model", tiny, "--digit", "12"]
    result = run("--debug", *call) if place == "before" else run(*call[:1], "--debug", *call[1:])
    assert result.code == 2
    assert result.err.startswith("Traceback")
    assert result.err.splitlines()[-1].startswith("vaegen: digit '12'")


def test_quiet_still_shows_errors(run: Run) -> None:
    refused(run("-q", "sample", "--digit", "12"), 2, "digit '12'")
