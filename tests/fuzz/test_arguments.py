"""Command lines that nobody would write: an exit code of the contract and a message, never a traceback or a mess.

The suite runs a few hundred, the same each time; `VAEGEN_FUZZ=full pytest tests/fuzz` runs 3,000 others.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vaegen.encoding import encode_png
from vaegen_cli import main
from vaegen_cli.app import cli

FULL = os.environ.get("VAEGEN_FUZZ") == "full"
BUNDLE = Path(__file__).parents[1] / "assets" / "tiny"
TINY = "./tiny"  # a copy, for a command line may well name it as its output

# Verbs that need seconds by their nature, the training extra or a browser, or never end, have their own tests.
VERBS = sorted(set(cli.commands) - {"bench", "evaluate", "explore", "export", "report", "serve", "train"})
PARAMETERS = {verb: command.params for verb in VERBS if (command := cli.get_command(click.Context(cli), verb))}

# Numbers from 2 to 256 are left out: as --workers or --threads they would start as many.
ODD = [
    *("", " ", "-", "--", "---", "-1", "0", "1", "1.5", "1e9", "1_0", "0x10", "nan", "inf", "-inf", "\u0663", "\u00b2"),
    *(
        "99999999999999999999",
        "18446744073709551616",
        "9" * 400,
        ",",
        ";",
        ":",
        "0:1",
        "0:1,",
        "/",
        "1/1",
        "3/2",
        "0/0",
        "=",
        "digit=3,=",
    ),
    *("..", "../x", "*", "~", "a\nb", "\udcff", "\u202e", "\U0001f600", "x" * 300, "y/" * 3000, "%s", "{}", "\\", "'"),
    *("red,", "#12", "hsl(", "hsl(1,2%,3%)", "rgb(300,0,0)", "black", "9-0", "0-", "true", "None", "auto", "\ufeff1"),
]
ODD_PLACES = [one for one in ODD if one not in ("/", "..")]  # which verbs would search to their end
SENSIBLE = {
    "digits": ["3", "0-9", "1,3"],
    "colors": ["red", "#ff8000,blue", "hsl(30,100%,50%)"],
    "count": ["1", "3", "100001"],
    "seed": ["0", "18446744073709551615"],
    "start": ["0", "5", "4611686018427387904"],
    "temperature": ["0.5", "10", "1e-30"],
    "tries": ["1", "2"],
    "slant": ["-12.5", "60"],
    "thickness": ["2.5", "8"],
    "hand": ["0", "7"],
    "scale": ["1", "2", "64"],
    "shard": ["1/1", "2/3"],
    "workers": ["1", "auto"],
    "texts": ["0:1", "0.5,0,1;1,2", ";3,3", "digit=3,red=1.5", "place=9"],
    "size": ["28", "31", "56"],
    "chosen": ["png", "npy", "svg"],
    "form": ["png", "jpg", "bmp", "webp", "tif", "svg"],
    "intake": ["auto", "as-is"],
    "on_error": ["skip", "fail"],
    "shell": ["bash", "zsh", "fish"],
}
PLACES = ["red.png", "bad.png", "pics", "pics/", "latents.npz", "lines.jsonl", "text.txt", "text.txt/x", "absent", "."]
TARGETS = ["-", "out", "out/", "out.png", "out.npy", "out.npz", "out.jsonl", "out.tif", "pics/out", "deep/er/out.png"]


@dataclass(frozen=True)
class Result:
    code: object
    out: bytes
    err: str


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as people have it."""
    folder = tmp_path_factory.mktemp("arguments") / "folder"
    (folder / "pics" / "a").mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3)).astype(np.uint8)
    for name, image in zip(("red.png", "pics/1.png", "pics/a/2.png"), images, strict=True):
        (folder / name).write_bytes(encode_png(image))
    (folder / "bad.png").write_bytes(b"no image")
    (folder / "pics" / "bad.png").write_bytes(b"no image")
    (folder / "text.txt").write_text("hello")
    np.savez(folder / "latents.npz", latents=np.zeros((2, 23), np.float32), names=np.array(["a", "b/c"]))
    shutil.copytree(BUNDLE, folder / "tiny")
    (folder / "lines.jsonl").write_text(json.dumps({"latent": [0.0] * 23}) + "\n")
    return folder


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def call(arguments: list[str], stdin: bytes) -> Result:
    """Run the command line in this process with streams of its own."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape") for _ in range(2))
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    finally:
        sys.stdin = before
    for stream in (out, err):
        stream.flush()
    return Result(code, out.buffer.getvalue(), err.buffer.getvalue().decode("utf-8", "backslashreplace"))


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    verb = draw(st.sampled_from(VERBS))
    words: list[str] = []
    options = [one for one in PARAMETERS[verb] if isinstance(one, click.Option) and one.name != "debug"]
    for option in draw(st.lists(st.sampled_from(options), max_size=5)):
        name = draw(st.sampled_from(option.opts))
        if option.is_flag:
            words.append(name)
            continue
        known = SENSIBLE.get(option.name or "", PLACES + TARGETS + [TINY])
        # No system passes a null byte to a program, and no test is to write outside its folder.
        anything = st.text(max_size=12).map(lambda text: text.replace("\0", "").replace("/", "|"))
        value = draw(st.sampled_from(known) if draw(st.booleans()) else st.sampled_from(ODD) | anything)
        words += [f"{name}={value}"] if name.startswith("--") and draw(st.booleans()) else [name, value]
    if any(one.name == "model" for one in options) and draw(st.integers(0, 7)):
        words += ["--model", TINY]
    positions = [one for one in PARAMETERS[verb] if isinstance(one, click.Argument)]
    for position in positions if draw(st.integers(0, 9)) else []:
        pool = {"model": [TINY, "./absent", "jiont"], "shell": SENSIBLE["shell"]}.get(position.name or "")
        pool = pool or (TARGETS if position.name == "out" else PLACES)
        words.append(draw(st.sampled_from(pool) if draw(st.integers(0, 3)) else st.sampled_from(ODD_PLACES)))
    if draw(st.integers(0, 9)) == 0:
        words = draw(st.permutations(words))
    return [*draw(st.sampled_from([[], [], ["-q"], ["-v"]])), verb, *words]


@settings(
    max_examples=3000 if FULL else 250,
    deadline=None,
    database=None,
    derandomize=not FULL,
    suppress_health_check=[HealthCheck.too_slow],  # of the machine, where it has other work
)
@given(arguments=command_lines(), stdin=st.sampled_from([b"", b"red.png\npics/1.png\n", b"\xff\0../x\0", b"\r\n\n"]))
def test_any_command_line_ends_as_promised(template: Path, arguments: list[str], stdin: bytes) -> None:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(shutil.copytree(template, Path(home, "folder")))
        with inside(folder):
            result = call(arguments, stdin)
        assert result.code in (0, 1, 2, 3, 4)
        assert "Traceback" not in result.err
        assert [path.name for path in folder.rglob("*.tmp")] == []
        assert (folder / "text.txt").read_text() == "hello"
    if result.code:
        assert result.err.strip()
    elif "--json" in arguments and not {"-h", "--help"} & set(arguments):
        json.loads(result.out)
    if result.code in (2, 4):
        assert not result.out or arguments[0] == "-v"
