"""Names that anybody made reach no terminal, page or report as more than one line of printable text."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import vaegen
from vaegen.encoding import encode_png
from vaegen.errors import shown

TINY = Path(__file__).parents[1] / "assets" / "tiny"
NASTY = "a\nok  36 checks passed\x1b[2J\u202e\x9b31m"
NAMES = [NASTY, "tab\tbell\a", "\ud800", os.fsdecode(b"caf\xe9"), "\x7f", "\u2028", "\r\x1b]0;title\x07"]


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "vaegen_cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def assert_plain(text: str) -> None:
    assert all(line.isprintable() for line in text.split("\n")), repr(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_one_printable_line_and_stays_what_it_is_when_shown_again(name: str) -> None:
    line = shown(name)
    assert line.isprintable()
    line.encode("utf-8")
    assert shown(line) == line
    assert str(vaegen.RequestError(name)) == line


def test_what_is_printable_stays_as_it_is() -> None:
    assert shown(Path("Grüße/数 3.png")) == os.fspath(Path("Grüße/数 3.png"))
    assert shown(os.fsdecode(b"caf\xe9\n")) == "caf\\xe9\\n"


@pytest.mark.skipif(os.name != "posix", reason="no other system allows such names of files")
def test_file_names_command_no_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate(["a\nb\x1b[31m.png", "\u202egnp.3.png"]):
        image = vaegen.load(TINY).sample(number, "red")[0]
        (folder / name).write_bytes(encode_png(image))
    (folder / "bad\x1b[2J\n.png").write_bytes(b"no picture")
    out = tmp_path / "out\x1b[0m"
    for arguments in (
        ("reconstruct", folder, out, "--model", TINY, "--workers", "1"),
        ("reconstruct", folder, tmp_path / "dry", "--model", TINY, "--dry-run"),
        ("encode", folder, "-o", tmp_path / "l\n.npz", "--model", TINY),
        ("decode", tmp_path / "l\n.npz", "-o", tmp_path / "back", "--model", TINY),
        ("sample", "--digit", "3", "--color", "red", "-o", tmp_path / "x\x1b[1m.png", "--model", TINY),
        ("info", f"{TINY}\x1b[2J\n"),
        ("sample\x1b[2J\n",),
        ("sample", "--color", "red\x1b[2J\n"),
    ):
        done = run(*arguments)
        assert "Traceback" not in done.stderr
        assert_plain(done.stdout)
        assert_plain(done.stderr)


def test_names_of_latents_command_no_terminal(tmp_path: Path) -> None:
    model = vaegen.load(TINY)
    latents = model.encode(model.sample([1, 2], "red"))
    np.savez(tmp_path / "l.npz", latents=latents, names=np.array(["a\x1b[2J\n.png", "../\x1b[1m"]))
    done = run("decode", tmp_path / "l.npz", "-o", tmp_path / "out", "--model", TINY)
    assert done.returncode == 2
    assert_plain(done.stderr)


def test_a_report_holds_ascii_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "caf\u00e9.png").write_bytes(b"no picture")
    run("reconstruct", tmp_path / "in", tmp_path / "out", "--model", TINY, "--report", tmp_path / "r.jsonl")
    text = (tmp_path / "r.jsonl").read_text(encoding="ascii")
    assert json.loads(text)["path"] == "caf\u00e9.png"


def test_what_libraries_log_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    from vaegen_cli import app, console

    with app._log_to_stderr(console.Console(verbosity=1)):
        logging.getLogger("vaegen").warning("opened '%s'", "x\n\x1b[2J")
    assert capfd.readouterr().err == "vaegen: opened 'x\\n\\x1b[2J'\n"
