"""Advice in messages holds: what is typed as a message says works, and no message names a flag that its verb lacks."""

import ast
import inspect
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import vaegen
from PIL import Image, ImageDraw
from vaegen_cli.app import cli

Run = Callable[..., Any]
ROOT = Path(__file__).parents[2]
VERBS = {name: verb for name in cli.commands if (verb := cli.get_command(click.Context(cli), name)) is not None}
SAMPLE = "sample --digit 3 --color red"

# A call that is refused or warned of, the advice in its message, and the call that follows it.
ADVICE = [
    # second runs, and what is in the way
    (f"{SAMPLE} -o a.png", "--force overwrites it", f"{SAMPLE} -o a.png --force"),
    (f"{SAMPLE} -o a.png", "choose another -o", f"{SAMPLE} -o new/"),
    ("decode latents.npz -o a.png", "--force overwrites it", "decode latents.npz -o a.png --force"),
    ("decode latents.npz -o a.png", "choose another -o", "decode latents.npz -o new.png"),
    ("encode a.png -o latents.npz", "--force overwrites it", "encode a.png -o latents.npz --force"),
    ("encode a.png -o latents.npz", "choose another -o", "encode a.png -o new.npz"),
    ("encode a.png -o n.npz --report latents.npz", "another --report", "encode a.png -o n.npz --report new.jsonl"),
    ("reconstruct a.png b.png", "--force overwrites it", "reconstruct a.png b.png --force"),
    ("reconstruct a.png b.png", "choose another OUT", "reconstruct a.png new.png"),
    ("reconstruct a.png new.png --sheet b.png", "choose another --sheet", "reconstruct a.png new.png --sheet s.png"),
    ("reconstruct in full", "--force overwrites it", "reconstruct in full --force"),
    ("reconstruct in full", "--skip-existing keeps what is there", "reconstruct in full --skip-existing"),
    ("reconstruct a.png a.png", "choose another name for the result", "reconstruct a.png new.png"),
    ("reconstruct in in", "choose another folder, even in it", "reconstruct in in/new"),
    ("explore -o page.html", "--force overwrites it", "explore -o page.html --force"),
    ("explore -o page.html", "choose another -o", "explore -o new.html"),
    # requests before files: what is wrong with both is asked for first
    (f"{SAMPLE} -o a.png --slant 99", "choose a number from -60 to 60", f"{SAMPLE} -o a.png --slant 60 --force"),
    (f"{SAMPLE} -o a.png --temperature 0", "choose a number above 0", f"{SAMPLE} -o a.png --temperature 1 --force"),
    (f"{SAMPLE} -o a.png --best 0", "choose an integer from 1 to 1000", f"{SAMPLE} -o a.png --best 9 --force"),
    ("sample --digit 2026 --color red -o a.png", "2,0,2,6 makes an image", "sample --digit 2,0,6 --color red"),
    ("sample --digit 3 --color rde -o a.png", "did you mean red", "sample --digit 3 --color red"),
    ("sample --digit 3 --color #111", "whose brightest channel is at least 32", "sample --digit 3 --color '#202020'"),
    ("sample --digit 3 --color", "write '#ff8000', in quotes", "sample --digit 3 --color '#ff8000'"),
    ("sample --digit 3 --color", "or ff8000", "sample --digit 3 --color ff8000"),
    (f"{SAMPLE} -o a.png --tries 2 --best 2", "--tries and --best exclude each other", f"{SAMPLE} --best 2"),
    (f"{SAMPLE} -o a.png --model jiont", "choose from continuous, discrete, joint", f"{SAMPLE} --model joint"),
    (
        "reconstruct a.png b.png --model jiont",
        "choose from continuous",
        "reconstruct a.png b.png --model joint --force",
    ),
    # how many, and where to
    ("sample --digit 3,3 --color red", "use --count for more", "sample --digit 3 --color red --count 2"),
    (f"{SAMPLE} --count 2 -o x.png", "add --grid", f"{SAMPLE} --count 2 -o x.png --grid"),
    (f"{SAMPLE} --count 2 -o x.png", "give -o x.npy", f"{SAMPLE} --count 2 -o x.npy"),
    (f"{SAMPLE} --count 2 -o x.png", "or -o a folder", f"{SAMPLE} --count 2 -o new/"),
    (f"{SAMPLE} --count 400 --grid --scale 64", "lower --scale", f"{SAMPLE} --count 400 --grid --scale 2"),
    (f"{SAMPLE} --count 100001", "continue with --start", f"{SAMPLE} --start 100000"),
    (f"{SAMPLE} -o x.jpg", "does not end in .png or .npy", f"{SAMPLE} -o x.png"),
    (f"{SAMPLE} -o x.jpg", "end the name of a new folder with '/'", f"{SAMPLE} -o x.jpg/"),
    (f"{SAMPLE} -o ''", "write '.' for this folder", f"{SAMPLE} -o ."),
    (f"{SAMPLE} --json -o -", "give -o a file or a folder", f"{SAMPLE} --json -o x.png"),
    ("sample --digit 8 --color red --count 9 --tries 2 --temperature 10", "lower --temperature", f"{SAMPLE} --count 9"),
    # texts and walks
    ("sample --text 2.6 --color red", "give 1 to 64 digits, such as 2026", "sample --text 2026 --color red"),
    (f"sample --text {'1' * 65} --color red", "give at most 64", f"sample --text {'1' * 64} --color red"),
    ("sample --text 12 --digit 3 --color red", "leave out one of them", "sample --text 12 --color red"),
    ("sample --digit 3 --color rainbow", "is for --text, by itself", "sample --text 3 --color rainbow"),
    ("sample --walk 3 x --color red", "write a digit, such as 3", "sample --walk 3 8 --color red"),
    ("sample --walk 3 x", "or 3:red for one in a color", "sample --walk 3:red 8:green"),
    ("sample --walk 3:red 8:green --color blue", "leave out --color", "sample --walk 3:red 8:green"),
    ("sample --walk 3 8 --color red,green,blue", "give one, or one for each end", "sample --walk 3 8 --color red"),
    ("sample --walk 3 8 --color red,green,blue", "one for each end", "sample --walk 3 8 --color red,green"),
    ("sample --frames 9", "add --walk FROM TO, such as --walk 3:red 8:blue", "sample --walk 3:red 8:blue --frames 9"),
    ("sample --walk 3:red 8:blue --format svg", "ends in .gif or .webp", "sample --walk 3:red 8:blue -o x.webp"),
    ("sample --walk 3:red 8:blue --frames 240 --scale 50", "lower --frames", "sample --walk 3:red 8:blue --scale 50"),
    ("sample --walk 3:red 8:blue --frames 90 --size 999", "or --size", "sample --walk 3:red 8:blue --size 99"),
    (
        "verify walk.png",
        "vaegen sample --like walk.png -o again.png",
        "sample --like walk.png -o again.png --model ./tiny",
    ),
    ("decode", "give a file of latents or --latent", "decode latents.npz"),
    ("decode", "give a file of latents or --latent", "decode --latent digit=3"),
    ("decode latents.npz new/", "where images go, -o says: -o new/", "decode latents.npz -o new/"),
    ("decode a.png", "does not end in .npz, .npy, .jsonl", "decode latents.npz"),
    ("decode out.npz", "--grid needs no names", "decode out.npz --grid -o x.png"),
    ("decode out.npz", "-o FILE.npy", "decode out.npz -o x.npy"),
    ("decode --latent size=3", "choose from red, green, blue, digit, place", "decode --latent red=1"),
    ("decode --latent digit:3,", "does not fit this model, which takes 3 numbers", "decode --latent '1,0,0;3,1'"),
    ("encode a.png b.png out2.npz", "give it behind -o", "encode a.png b.png -o out2.npz"),
    ("encode a.png -o x.txt", "does not end in .npz or .jsonl", "encode a.png -o x.jsonl"),
    ("encode a.png -o ''", "name a file", "encode a.png -o x.npz"),
    ("encode a.png -0", "give - as IN", "encode -0 -"),
    (
        "encode a.png -o x.jsonl --report x.jsonl",
        "another name for the report",
        "encode a.png -o x.jsonl --report y.jsonl",
    ),
    ("encode a.png --report -", "name one, such as report.jsonl", "encode a.png --report report.jsonl"),
    ("reconstruct a.png b.png new/", "reconstruct -0 - new/", "reconstruct -0 - new/"),
    ("reconstruct a.png new.png --shard 1/2", "--shard is for folders", "reconstruct in new --shard 1/2"),
    (
        "reconstruct a.png new.png --skip-existing",
        "--skip-existing is for folders",
        "reconstruct in new --skip-existing",
    ),
    ("reconstruct in new --skip-existing --force", "choose one", "reconstruct in new --force"),
    ("reconstruct in new --threads 2 --workers 2", "leave it out", "reconstruct in new --workers 1"),
    ("reconstruct in new --threads 2 --workers 2", "give --workers 1", "reconstruct in new --threads 2 --workers 1"),
    ("reconstruct in -", "give OUT a folder", "reconstruct in new"),
    ("reconstruct a.png - --json", "give OUT a file or a folder", "reconstruct a.png new.png --json"),
    ("reconstruct in ''", "OUT is empty; name a folder", "reconstruct in new"),
    ("reconstruct '' new", "write '.' for this folder", "reconstruct . new --intake as-is"),
    ("reconstruct a.png new.jpg --format png", "leave one out", "reconstruct a.png new.jpg"),
    ("reconstruct a.png new.png --sheet s.jpg", "does not end in .png", "reconstruct a.png new.png --sheet s.png"),
    (
        "reconstruct a.png new.png --max-pixels 9",
        "raise --max-pixels to 784",
        "reconstruct a.png new.png --max-pixels 784",
    ),
    ("encode paper.png", "--intake as-is reads it as it is", "encode paper.png --intake as-is"),
    ("reconstruct papers new --workers 2", "--intake as-is reads it", "reconstruct papers new --intake as-is"),
    ("reconstruct noise.png new.png", "--sheet look.png shows", "reconstruct noise.png x.png --sheet look.png"),
    ("reconstruct scan.png new.png --intake as-is", "--intake auto makes", "reconstruct scan.png x.png --intake auto"),
    # pictures and bundles
    ("verify a.png", "give the folder of its bundle: --model FOLDER", "verify a.png --model ./tiny"),
    ("sample --like a.png", "give the folder of its bundle: --model FOLDER", "sample --like a.png --model ./tiny"),
    ("verify a.png --model joint", "give the folder of the other: --model FOLDER", "verify a.png --model ./tiny"),
    ("verify a.png --key k.pem", "leave it out", "verify a.png --model ./tiny"),
    ("verify ./tiny --model joint", "leave it out", "verify ./tiny"),
    ("info tiny/manifest.json", "of a bundle give the folder", "info ./tiny"),
    ("info jiont", "or give a bundle's folder", "info ./tiny"),
    ("explore -o page.txt", "name a file such as page.html", "explore -o new.html"),
    ("explore --model ./tiny --model tiny -o x.html", "name each once", "explore --model ./tiny -o x.html"),
    ("train joint --set epochs", "for example --set vae.epochs=5", "train joint --set vae.epochs=5 --show"),
]
OWN_MODEL = ("info", "train", "verify")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A folder with what the calls name."""
    place = tmp_path_factory.mktemp("workshop")
    with vaegen.load(tiny) as model:
        latents = model.draw([3, 4], "red").latents
    from vaegen_cli import main

    for name, digit in (("a.png", "3"), ("b.png", "5"), ("in/a.png", "3"), ("full/a.png", "3")):
        code = main(["-q", "sample", "--model", str(tiny), "--digit", digit, "--color", "red", "-o", str(place / name)])
        assert code == 0
    ends = ("--walk", "1:red", "7:blue", "--frames", "3", "-o", str(place / "walk.png"))
    assert main(["-q", "sample", "--model", str(tiny), *ends]) == 0
    shutil.copytree(tiny, place / "tiny")
    np.savez(place / "latents.npz", latents=latents[:1])
    np.savez(place / "out.npz", latents=latents, names=np.array(["../x", "y"]))
    (place / "page.html").write_text("mine")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)).save(place / "noise.png")
    Image.fromarray(255 - np.array(Image.open(place / "a.png").convert("L"))).save(place / "scan.png")
    paper = Image.new("RGB", (300, 300), "white")
    for left in (40, 200):  # two ones on one sheet
        ImageDraw.Draw(paper).line((left, 60, left, 240), "black", 20)
    paper.save(place / "paper.png")
    (place / "papers").mkdir()
    paper.save(place / "papers" / "paper.png")
    return place


def type_in(run: Run, call: str) -> Any:
    verb, *arguments = shlex.split(call)
    is_typed = "--model" in arguments or "--like" in arguments or verb in OWN_MODEL
    return run(verb, *([] if is_typed else ["--model", "./tiny"]), *arguments)


@pytest.mark.parametrize(("call", "advice", "mended"), ADVICE, ids=[f"{call}: {advice}" for call, advice, _ in ADVICE])
def test_advice_works_when_it_is_typed(
    run: Run, here: Path, workshop: Path, monkeypatch: pytest.MonkeyPatch, call: str, advice: str, mended: str
) -> None:
    shutil.copytree(workshop, here, dirs_exist_ok=True)
    first = type_in(run, call)
    assert advice in first.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.png\0b.png\0")))
    second = type_in(run, mended)
    assert second.code == 0, second.err
    assert advice not in second.err


@pytest.mark.skipif(shutil.which("bash") is None, reason="a command for bash")
@pytest.mark.parametrize("names", [["a.png", "b.png"], ["in/a.png", "in/b.png"], ["in/a.png", "full/a.png"]])
def test_many_files_are_reconstructed_as_the_message_says(
    run: Run, here: Path, workshop: Path, names: list[str]
) -> None:
    shutil.copytree(workshop, here, dirs_exist_ok=True)
    shutil.copy("b.png", "in/b.png")
    result = run("reconstruct", *names, "new folder/")
    (command,) = re.findall(r"on stdin: (.*)\n", result.err)
    others = "noise.png paper.png scan.png walk.png"
    program = f'vaegen() {{ {shlex.quote(sys.executable)} -m vaegen_cli "$@"; }}\nrm -f {others}\n'
    done = subprocess.run(
        ["bash", "-c", f"{program}{command} --model ./tiny"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "new folder\n"
    assert {str(path.relative_to("new folder")) for path in Path("new folder").rglob("*.png")} == set(names)


# --- by reading the sources -------------------------------------------------------------------------------------------


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module that may come into messages: none of docstrings, help and options.

    What is filled in shows as "{}".
    """
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in DECLARE:
            skipped |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in skipped:
            skipped |= {id(part) for part in node.values}
            yield (
                node.lineno,
                "".join(
                    getattr(part, "value", "{}") if isinstance(part, ast.Constant) else "{}" for part in node.values
                ),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


def flags_in(text: str, known: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield the flags that a text names, each with those that there are: of a verb whose command is spelled out."""
    for match in re.finditer(r"(?<![\w-])--[a-z][a-z-]*", text):
        commands = re.findall(r"vaegen ([a-z]+) ", text[: match.start()])
        yield match[0], flags_of(VERBS[commands[-1]]) if commands else known


DECLARE = {"click.option", "click.argument", "common_options", "click.command", "_limit", "click.Option"}


def flags_of(verb: click.Command) -> set[str]:
    return {flag for parameter in verb.params for flag in (*parameter.opts, *parameter.secondary_opts)}


def imported(module: str, seen: set[str] | None = None) -> set[str]:
    """Return the modules of the command line that one imports, and those that they import."""
    seen = {module} if seen is None else seen
    for node in ast.walk(ast.parse((ROOT / "cli" / "vaegen_cli" / f"{module}.py").read_text())):
        name = getattr(node, "module", None) if isinstance(node, ast.ImportFrom) else None
        part = (name or "").removeprefix("vaegen_cli.")
        if name and name.startswith("vaegen_cli.") and part not in seen:
            seen.add(part)
            imported(part, seen)
    return seen


def test_messages_of_the_command_line_name_flags_of_their_verbs() -> None:
    home = {name: inspect.getmodule(verb.callback).__name__.removeprefix("vaegen_cli.") for name, verb in VERBS.items()}  # type: ignore[union-attr]
    reached = {name: imported(module) for name, module in home.items()}
    found = 0
    for path in sorted((ROOT / "cli" / "vaegen_cli").glob("*.py")):
        verbs = [name for name, modules in reached.items() if path.stem in modules or path.stem == "app"]
        known = set().union(*(flags_of(VERBS[name]) for name in verbs)) | {"--help", "--version"}
        for line, text in texts(ast.parse(path.read_text())):
            assert not re.search(r"\w=(True|False)\b", text), f"{path.name}:{line}: {text}"
            for flag, there in flags_in(text, known):
                found += 1
                assert flag in there, f"{path.name}:{line}: {flag} is no flag of {', '.join(verbs)}"
    assert found > 40


def test_messages_of_the_library_name_settings_that_python_and_the_command_line_have() -> None:
    """They are spelled by `vaegen.errors.setting`, for whoever reads them."""
    from vaegen.server import listen
    from vaegen.texts import plan_text

    public = (vaegen.read_image, vaegen.reconstruct_folder, vaegen.Model.draw, listen, plan_text)
    parameters = {name for function in public for name in inspect.signature(function).parameters}
    flags = set().union(*map(flags_of, VERBS.values()))
    found: set[str] = set()
    for path in sorted((ROOT / "runtime" / "vaegen").rglob("*.py")):
        tree = ast.parse(path.read_text())
        for line, text in texts(tree):
            assert all(flag in there for flag, there in flags_in(text, set())), f"{path.name}:{line}: {text}"
            assert not re.search(r"\w=(True|False)\b", text), f"{path.name}:{line}: {text}"
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "setting"
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(str(node.args[0].value))
    assert {"force", "intake", "max_pixels", "best", "tries"} <= found
    assert found <= parameters
    assert {"--" + name.replace("_", "-") for name in found} <= flags


def test_the_same_advice_in_python(workshop: Path) -> None:
    with pytest.raises(vaegen.ImageError, match="or intake='as-is' reads it as it is"):
        vaegen.read_image(workshop / "paper.png")
    with pytest.raises(vaegen.ImageError, match="raise max_pixels to 784"):
        vaegen.read_image(workshop / "a.png", max_pixels=9)
    with vaegen.load(workshop / "tiny") as model, pytest.raises(vaegen.OutputError) as refusal:
        vaegen.reconstruct_folder(model, workshop / "in", workshop / "full")
    assert str(refusal.value).endswith("exists; force=True overwrites it, or skip_existing=True keeps what is there")
