"""The client in JavaScript gives what Python gives: noise, colors, messages, images, and the choice among attempts."""

import functools
import gzip
import http.server
import json
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL.ImageColor import colormap
from vaegen.color import parse_color
from vaegen.noise import uniform

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WEB = ROOT / "runtime" / "vaegen" / "web"
GOLDEN = json.loads((ROOT / "tests" / "runtime" / "golden.json").read_text())
BUNDLES = [ROOT / "tests" / "assets" / "tiny", *(vaegen.load(name).path for name in vaegen.models())]
# npm's packages for tests lie in this folder (see its package.json), or where NODE_PATH says.
PACKAGES = [HERE / "node_modules", *map(Path, filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)))]
LONG = 2**53  # from here on an integer travels as a BigInt

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")


def package(name: str) -> Path:
    """Return the folder of an npm package; skips where it is not installed."""
    for folder in PACKAGES:
        if (folder / name).is_dir():
            return folder / name
    pytest.skip(f"{name} is not installed: `npm install` in tests/web")


def run(command: Sequence[str | Path], **options: Any) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=120, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def ask(*calls: Sequence[Any], bundle: Path | None = None, engine: str | None = None) -> list[Any]:
    """Return what the client answers to calls, each a method and its arguments: values, or class and message."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        if isinstance(value, list | tuple | range):
            return [plain(each) for each in value]
        if isinstance(value, np.ndarray):
            return {"bytes": value.reshape(-1).tolist()} if value.dtype == np.uint8 else value.reshape(-1).tolist()
        return f"{value}n" if isinstance(value, int) and value >= LONG else value

    task = {"engine": engine, "bundle": bundle and str(bundle), "calls": plain(list(calls))}
    answers = json.loads(run(["node", HERE / "driver.js"], input=json.dumps(task)).stdout)
    return [tuple(answer["error"]) if "error" in answer else answer.get("value") for answer in answers]


def outcome(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return what a call gives, or its error's class and message."""
    try:
        return call(*args, **options)
    except vaegen.VaegenError as error:
        return type(error).__name__, str(error)


def test_the_clients_own_tests_pass() -> None:
    run(["node", "--test", HERE / "client.test.js"], env=os.environ | {"NODE_OPTIONS": ""})


def test_uniforms_are_the_same_to_the_last_bit() -> None:
    golden = [(one["seed"], one["attempt"], one["item"], one["values"]) for one in GOLDEN["uniforms"]]
    # The counter's carry into its second word: item 2**60 of 104 uniforms begins at block 13 * 2**60.
    for seed, attempt, item, size in (
        (5, 0, 2**62, 104),
        (2**64 - 1, 2**64 - 2, 2**63 - 1, 285),
        (0, 7, (2**64 - 2) // 13, 104),  # within the item
        (9, 1, 2**61 - 1, 64),  # its last counter is 2**64
        (2**63, 999, 2**53 + 1, 1),
        (0, 0, 203288, 104),  # its uniform 59 would round to 1
    ):
        golden.append((seed, attempt, item, uniform(seed, attempt, range(item, item + 1), size)[0].tolist()))
    found = ask(*(["uniform", seed, attempt, item, len(values)] for seed, attempt, item, values in golden))
    assert found == [values for *_, values in golden]
    (many,) = ask(["uniform", 3, 0, [7, 2**62, 0, 8], 30])
    assert many == uniform(3, 0, [7, 2**62, 0, 8], 30).reshape(-1).tolist()


def texts() -> list[str]:
    """Return colors as people write them, right and wrong."""
    draw = random.Random(0)
    found = ["", " ", "red ", "\tRED\n", "\u3000red\x1c", "Red", "dark red", "dark-red", "rouge", "r", "#", "#ff"]
    found += [name.upper() if draw.random() < 0.3 else name for name in colormap]
    for name in colormap:  # misspelt: a letter lost, doubled, or taken for another
        at = draw.randrange(len(name))
        found.append(name[:at] + draw.choice(["", 2 * name[at], draw.choice("aeiourst ")]) + name[at + 1 :])
    for length in (3, 4, 6, 8, 5, 7, 9):
        found += ["#" + "".join(draw.choices("0123456789abcdefABCDEF", k=length)) for _ in range(8)]
    found += ["#ff0000ff", "#f00f", "#ff000080", "#f00e", "#12345g", "ff0000", "0xff0000", "#FFF", "#1e1e1e", "#00001f"]

    def numbers(n: int, most: float, style: str = "{:.0f}") -> list[str]:
        return [style.format(draw.uniform(0, most)) for _ in range(n)]

    for _ in range(30):
        comma = draw.choice([",", ", ", " , "])
        found.append(f"rgb({comma.join(numbers(3, 280))})")
        found.append(f"RGB( {comma.join(number + '%' for number in numbers(3, 105))} )")
        found.append(f"rgba({comma.join([*numbers(3, 255), draw.choice(['255', '254', '0'])])})")
        for name in ("hsl", "hsv", "hsb"):
            hue, *shares = [*numbers(1, 720, "{:.2f}"), *numbers(2, 104, draw.choice(["{:.0f}", "{:.1f}"]))]
            found.append(f"{name}({hue}{comma}{shares[0]}%{comma}{shares[1]}%)")
    found += [f"rgb({share}%, {share}%, 100%)" for share in range(0, 101, 5)]  # halves are rounded up, as Pillow does
    found += [form.format(30 * turn) for turn in range(13) for form in ("hsl({}, 100%, 50%)", "hsv({},100%,70%)")]
    found += ["hsl(120, 50, 50)", "hsl(0,0%,50.%)", "hsl(.5,50%,50%)", "hsl(0,200%,90%)", "hsv(-30,100%,100%)", "rgb()"]
    found += [
        "rgb(255 0 0)",
        "HSL(120 100% 50%)",
        "rgb(1 2)",
        "rgb(1 2 3 4)",
        "Ff8000",
        "ff80",
        "255, 128,0",
        "256,0,0",
        "1,2,3,4",
        "rgb(255,0,0",
        "rgb(2.5,0,0)",
        "rgb(255,0)",
        "rgb(9,9,99) x",
        "hwb(0 0% 0%)",
        "rgb(+9,9,9)",
    ]
    found += ["rgb(\u0662\u0665\u0665,0,0)", "hsl(\U0001d7d0\U0001d7d0.\u0665,90%,50%)", "rgb(255\x1c,\x850,\ufeff0)"]
    found += ["it's", 'say "red"', 'it\'s "red"', "back\\slash", "bell\x07", "\u202ered", "\ud800", "\U0001f7e5"]
    return [*found, "é" * 90, "x" * 79, "0123456789" * 11, f"rgb({255:093},0,0)", f"rgb({255:083},0,0)", "red" * 3000]


def test_colors_are_read_as_python_reads_them() -> None:
    colors: list[Any] = [*texts(), [255, 0, 0], [0, 0, 31], [0, 0, 32], [256, 0, 0], [-1, 0, 99], [9, 99], [], 7, 1.5]
    colors += [[255, 0, 0, 255], ["red"], [1.5, 2.5, 3.5], [1, 2, "3"], [10**20, 0, 0], [[1, 2, 3], [40, 50, 60]]]
    assert len(colors) > 500
    expected = [outcome(lambda color: list(parse_color(color)), color) for color in colors]
    assert ask(*(["parseColor", color] for color in colors)) == expected
    assert sum(isinstance(one, list) for one in expected) > 250
    assert sum("did you mean" in one[1] for one in expected if isinstance(one, tuple)) > 100


def test_requests_are_refused_in_pythons_words() -> None:
    model = vaegen.load("joint")
    calls: list[tuple[Any, Any, dict[str, Any]]] = [
        *((digit, "red", {}) for digit in (12, -1, 1.5, "3", [3, 10], [], [[3]], "three", 10**400)),
        *((3, color, {}) for color in ("rde", "#111", [], [[255, 0, 0], [1, 2]], ["red", "blu"], [0, 0, 0], 5)),
        *((3, "red", {"seed": seed}) for seed in ("5", -1, 1.5, 2**64, [1], "", "1e3")),
        *((3, "red", {"start": start}) for start in (-1, 2**62 + 1, "0")),
        *((3, "red", {"tries": tries}) for tries in (0, 1001, 2.5, "8")),
        *((3, "red", {"best": best}) for best in (0, 1001, "8")),
        (3, "red", {"tries": 8, "best": 8}),
        *((3, "red", {"temperature": temperature}) for temperature in (0, -1, 10.5, "1", [1])),
        *((3, "red", {"slant": slant}) for slant in (61, -60.5, "12", [1, 2, 99], [])),
        *((3, "red", {"thickness": thickness}) for thickness in (0.4, 9, "thin")),
        *((3, "red", {"hand": hand}) for hand in (-1, 2**64, 0.5, "me")),
        ([1, 2], ["red", "blue", "green"], {}),
        ([1, 2], "red", {"count": 3}),
        (3, "red", {"count": 2, "slant": [1, 2, 3]}),
    ]
    expected = [outcome(model.sample, digit, color, **options) for digit, color, options in calls]
    assert all(isinstance(one, tuple) for one in expected)
    assert ask(*(["sample", *call] for call in calls), bundle=model.path) == expected
    parts: list[Any] = [{"hue": "x"}, {"value": 2}, {"shade": 1}, {"digit": 10}, {"code 0": 1.5}, {"shape 0": -1e9 / 7}]
    refused = [outcome(model.latent, values) for values in parts]
    assert ask(*(["latent", values] for values in parts), bundle=model.path) == refused


@functools.cache
def pictures(bundle: Path) -> list[tuple[list[Any], Any, float]]:
    """Return calls, what Python answers to each, and how far off each value may be."""
    model = vaegen.load(bundle)
    n = 20 if bundle == BUNDLES[0] else 8
    slants = [3.5 * row - 20 for row in range(n)]
    style, hand = ({"slant": slants, "thickness": [2.5]}, {"hand": 7}) if model.spec.style else ({}, {})
    subjects: tuple[Any, Any] = [row % 10 for row in range(n)], ["red", "teal", "#ff8000", [20, 90, 130]] * (n // 4)
    asked: list[dict[str, Any]] = [
        {"tries": 1},
        {"seed": 1, "start": 2**62},
        {"seed": 2**64 - 1, "temperature": 0.7, **style},
        {"seed": 3, "tries": 40, **hand},
        {"seed": 5, "tries": 3, "temperature": 4},
        {"seed": 6, "best": 5},
    ]
    draws = [model.draw(*subjects, **options) for options in asked]
    if bundle == BUNDLES[0]:  # it takes every path
        assert draws[1].tries_used.max() > 2
        assert draws[4].accepted is not None
        assert not draws[4].accepted.all()
    images, latents = draws[1].images, draws[1].latents
    some: dict[str, Any] = {"seed": 4, "start": 9}
    other: dict[str, Any] = {"items": [5, 2**60, *range(n - 2)]}
    again = model.posterior(images)
    posterior = {"latent": again.latent, "mean": again.mean, "logVariance": again.log_variance, "logits": again.logits}
    digit = {"digit": 5} if "digit" in model.spec.names.categorical else {}
    colors = {
        "hue": -0.45,
        "value": 0.5,
    }  # hue goes round; where it is a categorical, it says what the prior is asked for
    chosen = digit if bundle == BUNDLES[0] else digit | colors
    return [
        *((["draw", *subjects, options], draw, 0) for options, draw in zip(asked, draws, strict=True)),
        (["sample", *subjects, asked[1]], images, 1),
        (["reconstruct", images], model.reconstruct(images), 1),
        (["reconstruct", images, {"stochastic": True, **some}], model.reconstruct(images, True, **some), 1),
        (["reconstruct", images, {"stochastic": True, **other}], model.reconstruct(images, True, **other), 1),
        (["encode", images], again.latent, 1e-4),
        (["posterior", images], posterior, 2e-4),
        (["decode", latents], model.decode(latents), 1),
        (["decodeUnrounded", latents], model.decode_unrounded(latents), 1e-5),
        (["judge", images], model.judge(images), 1e-5),
        (["latent", chosen], model.latent(chosen), 1e-4),
    ]


@pytest.mark.parametrize("engine", [None, "onnxruntime-node"], ids=["own engine", "onnxruntime-node"])
@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
def test_pictures_are_within_one(bundle: Path, engine: str | None) -> None:
    if engine:
        package(engine)
    calls = pictures(bundle)
    answers = ask(*(call for call, *_ in calls), bundle=bundle, engine=engine)
    for (call, wanted, most), answer in zip(calls, answers, strict=True):
        if call[0] == "draw":
            check_draw(answer, wanted)
        elif call[0] == "posterior":
            assert all((value is None) == (answer[name] is None) for name, value in wanted.items())
            for name, value in wanted.items():
                assert value is None or np.abs(np.array(answer[name]) - value.reshape(-1)).max() <= most, name
        else:
            assert np.abs(np.array(answer) - wanted.reshape(-1).astype(float)).max() <= most, call[0]


def check_draw(answer: dict[str, Any], wanted: vaegen.Draw) -> None:
    """Hold what the client knows of images to what Python knows."""
    for name in ("digits", "colors", "tries_used", "judged", "accepted", "reached"):
        theirs, ours = answer[re.sub("_(.)", lambda match: match[1].upper(), name)], getattr(wanted, name)
        assert theirs is None if ours is None else theirs == ours.reshape(-1).tolist(), name
    for name, most in (("images", 1), ("latents", 1e-4), ("confidence", 1e-4), ("color_error", 0.05), ("rank", 0.05)):
        theirs, ours = answer[{"color_error": "colorError"}.get(name, name)], getattr(wanted, name)
        assert (theirs is None) == (ours is None)
        assert ours is None or np.abs(np.array(theirs) - ours.reshape(-1).astype(float)).max() <= most, name
    for name in ("measured", "realism"):
        assert (answer[name] is None) == (getattr(wanted, name) is None)


def snippets(name: str) -> list[str]:
    """Return the blocks of docs/web.md that are marked with a name, as they are."""
    page = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
    return re.findall(rf"<!-- run by: tests/web/test_client.py, {name} -->\n```\w+\n(.*?)```", page, re.DOTALL)


def test_what_the_page_shows_for_node_runs(tmp_path: Path) -> None:
    shutil.copytree(vaegen.load("joint").path, tmp_path / "joint")
    shutil.copytree(WEB, tmp_path / "node_modules" / "vaegen", ignore=shutil.ignore_patterns("page"))
    first, wrong = snippets("node")
    (tmp_path / "program.mjs").write_text(first)
    lines = run(["node", "program.mjs"], cwd=tmp_path).stdout.splitlines()
    draw = vaegen.load("joint").draw([1, 2, 3], ["gold", "#ff8000", (0, 128, 128)], seed=2**64 - 1)
    assert [line.split()[:2] for line in lines] == [[str(row + 1), str(draw.judged[row])] for row in range(3)]  # type: ignore[index]
    (tmp_path / "program.mjs").write_text(wrong)
    assert f"// {run(['node', 'program.mjs'], cwd=tmp_path).stdout}" in wrong
    (code,) = re.findall(r"```javascript\n(.*?)```", (WEB / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "models").symlink_to(tmp_path)
    (tmp_path / "program.mjs").write_text(f"{code}console.log(pixels.length);")
    assert run(["node", "program.mjs"], cwd=tmp_path).stdout == "2352\n"


def test_what_the_page_shows_for_onnxruntime_runs(tmp_path: Path) -> None:
    shutil.copytree(vaegen.load("joint").path, tmp_path / "joint")
    shutil.copytree(WEB, tmp_path / "node_modules" / "vaegen", ignore=shutil.ignore_patterns("page"))
    (tmp_path / "node_modules" / "onnxruntime-web").symlink_to(package("onnxruntime-web"))
    (code,) = snippets("onnxruntime")
    sample = 'console.log(JSON.stringify(Array.from(await model.sample(3, "red", { seed: 1 }))));'
    (tmp_path / "program.mjs").write_text(code + sample)
    found = json.loads(run(["node", "program.mjs"], cwd=tmp_path).stdout)
    wanted = vaegen.load("joint").sample(3, "red", seed=1).reshape(-1).astype(int)
    assert np.abs(np.array(found) - wanted).max() <= 1


class Pages(http.server.SimpleHTTPRequestHandler):
    """A server for files with the policy of docs/web.md, which keeps the text that a page sends it."""

    texts: "queue.Queue[str]" = queue.Queue()

    def end_headers(self) -> None:
        policy = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"
        self.send_header("Content-Security-Policy", policy)
        super().end_headers()

    def do_POST(self) -> None:
        self.texts.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_what_the_page_shows_for_browsers_runs(tmp_path: Path) -> None:
    if (browser := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed")
    copies, *_ = snippets("files")[0].split("python -m http.server")
    names = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    folder = tmp_path / "page"
    folder.mkdir()
    run(["sh", "-e", "-c", copies], cwd=folder, env=names)
    (folder / "worker.js").write_text(*snippets("worker"))
    probe = """
<script type="module">
  const worker = new Worker("worker.js", { type: "module" });
  const drawn = new Promise((resolve) => (worker.onmessage = resolve));
  worker.postMessage([3, "red", { seed: 1 }]);
  const read = () => document.querySelector("canvas").getContext("2d").getImageData(0, 0, 28, 28).data;
  while (!read()[3]) await new Promise((resolve) => setTimeout(resolve, 10));
  import { load, toRgb } from "./vaegen/index.js";
  const model = await load("joint");
  const context = document.querySelector("canvas").getContext("2d");
  CANVAS
  const all = [Array.from((await drawn).data), Array.from(read()).filter((_, at) => at % 4 < 3), Array.from(again)];
  fetch("/", { method: "POST", body: JSON.stringify(all) });
</script>"""
    (folder / "index.html").write_text(snippets("page")[0] + probe.replace("CANVAS", snippets("canvas")[0]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Pages, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        command = [browser, *options, f"http://127.0.0.1:{server.server_address[1]}/"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                *found, again = json.loads(Pages.texts.get(timeout=60))
            finally:
                process.terminate()
                server.shutdown()
    wanted = vaegen.load("joint").sample(3, "red", seed=1).reshape(-1).astype(int)
    assert np.abs(np.array(found) - wanted).max() <= 1
    drawn = np.array(found[1], np.uint8).reshape(1, 28, 28, 3)
    assert np.abs(np.array(again) - vaegen.load("joint").reconstruct(drawn).reshape(-1)).max() <= 1


def test_the_sizes_on_the_page_are_those_of_the_files() -> None:
    page = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:the client|of these).*?: (.*) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert len(rows) == 2
    plain, packed = run(["bash", "-c", *snippets("sizes")], cwd=WEB).stdout.split()
    assert [round(int(plain) / 1000), round(int(packed) / 1000)] == pytest.approx([*map(int, rows[0][1:])], rel=0.1)
    for names, plain, packed in rows:
        files = [path for name in re.findall("`(.+?)`", names) for path in sorted(WEB.glob(name))]
        data = b"".join(path.read_bytes() for path in files)
        assert len(data) / 1000 == pytest.approx(int(plain), rel=0.1)
        assert len(gzip.compress(data, 9)) / 1000 == pytest.approx(int(packed), rel=0.1)


@pytest.mark.parametrize("folder", [WEB, WEB / "page"], ids=["client", "page"])
def test_types_are_whole(folder: Path) -> None:
    run(["node", package("typescript") / "bin" / "tsc", "--project", folder])


def test_the_npm_package_holds_client_types_and_licence_alone(tmp_path: Path) -> None:
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not installed")
    tools = package("typescript").parent / ".bin"
    folder = shutil.copytree(WEB, tmp_path / "runtime" / "vaegen" / "web")
    shutil.copy(ROOT / "LICENSE", tmp_path)
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    packed = json.loads(run([npm, "pack", "--json", "--silent"], cwd=folder, env=environment).stdout)[0]
    names = {path.name for path in WEB.glob("*.js")}
    types = {f"types/{name.removesuffix('.js')}.d.ts" for name in names}
    assert {file["path"] for file in packed["files"]} == names | types | {"package.json", "README.md", "LICENSE"}
    assert packed["version"] == vaegen.__version__

    # What is installed runs, and its types serve a program that is checked strictly.
    user = tmp_path / "user"
    user.mkdir()
    (user / "package.json").write_text('{"type": "module"}')
    run([npm, "install", "--silent", "--offline", "--no-audit", folder / packed["filename"]], cwd=user)
    (user / "program.ts").write_text(
        """import { load, RequestError, type Draw } from "vaegen";
const model = await load(process.argv[2] ?? "");
const draw: Draw = await model.draw([3, 4], ["red", [0, 0, 255]], { seed: 2n ** 64n - 1n, slant: 10 });
const pixels: Uint8Array = await model.reconstruct(draw.images, { stochastic: true, seed: 1 });
// @ts-expect-error
model.sample(3, "red", { sed: 1 }).catch((error) => console.log(pixels.length, error instanceof RequestError));
declare const process: { argv: string[] };
"""
    )
    settings = ["--strict", "--target", "es2023", "--module", "nodenext", "--types", ""]
    run(["node", tools.parent / "typescript" / "bin" / "tsc", *settings, "program.ts"], cwd=user)
    assert run(["node", "program.js", BUNDLES[0]], cwd=user).stdout == "4704 true\n"
