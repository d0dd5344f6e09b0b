import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vaegen
from vaegen.explorer import explorer_page

Run = Callable[..., Any]
posix = pytest.mark.skipif(os.name != "posix", reason="a browser that is a script of sh")


def test_writes_the_page_and_nothing_over_it(run: Run, tiny: Path, here: Path) -> None:
    result = run("explore", "--model", tiny, "-o", "new/page.html")
    assert (result.code, result.out, result.err) == (0, f"{Path('new/page.html')}\n", "")
    page = here / "new" / "page.html"
    assert page.read_bytes() == explorer_page([tiny])
    page.write_bytes(b"mine")
    result = run("explore", "--model", tiny, "-o", page)
    assert (result.code, result.out) == (2, "")
    assert "exists; --force overwrites it" in result.err
    assert page.read_bytes() == b"mine"
    assert run("explore", "--model", tiny, "-o", page, "--force").code == 0
    assert page.read_bytes() == explorer_page([tiny])


def test_several_models_on_stdout(process: Callable[..., Any], tiny: Path) -> None:
    out, err = process("explore", "--model", "joint", "--model", tiny, "-o", "-").communicate()
    assert (out, err) == (explorer_page([vaegen.DEFAULT_MODEL, tiny]), b"")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "page.png"], 2, "output 'page.png' does not end in .html; name a file such as page.html"),
        (["-o", ""], 2, "output '' does not end in .html; name a file such as page.html"),
        (["-o", "."], 2, "output '.' does not end in .html; name a file such as page.html"),
        (["-o", "page.html", "--model", "jiont"], 2, "unknown model 'jiont'; choose from continuous, discrete, joint"),
        (["-o", "page.html", "--model", "./none"], 3, "no bundle at 'none': there is no such folder"),
        (
            ["-o", "page.html", "--model", "joint", "--model", "joint"],
            2,
            "two models are called 'joint'; name each once",
        ),
    ],
)
def test_what_cannot_be_done_takes_one_line(
    run: Run, here: Path, arguments: list[str], code: int, message: str
) -> None:
    result = run("explore", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1)
    assert result.err.startswith(f"vaegen: {message}")
    assert list(here.iterdir()) == []


@posix
def test_opens_the_page_in_the_browser(
    process: Callable[..., Any], tiny: Path, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {here}/opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    out, err = process("explore", "--model", tiny).communicate()
    page = Path(out.decode().strip())
    assert (here / "opened").read_text() == page.as_uri()
    assert page.read_bytes() == explorer_page([tiny])
    assert page.parent.parent == tmp_path
    assert err.decode() == "where the browser finds no such file, it may not read temporary ones: give -o page.html\n"


@posix
def test_says_where_the_page_lies_when_there_is_no_browser(
    process: Callable[..., Any], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if sys.platform == "darwin":
        pytest.skip("macOS always has a browser")
    running = process("explore", "--model", tiny)
    out, err = running.communicate()
    page = Path(out.decode().strip())
    assert running.returncode == 0
    assert page.read_bytes() == explorer_page([tiny])
    assert page.is_relative_to(tempfile.gettempdir())
    assert err.decode() == "no browser can be opened here; open this file in one, or give -o page.html\n"
    page.unlink()
    page.parent.rmdir()
