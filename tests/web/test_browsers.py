"""The explorer in real browsers: chromium, firefox-esr, and WebKitGTK by the driver of webkit2gtk-driver."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen.explorer import explorer_page
from vaegen.noise import uniform
from vaegen_cli import main

WEB = Path(__file__).parent
TINY = WEB.parent / "assets" / "tiny"
LINKS = [
    "#model=joint&digit=3&color=red&seed=0&item=0",
    "#digit=8&color=%23ff8000&seed=18446744073709551615&item=1000000000",
    "#digit=0&color=teal&seed=5&slant=20&thickness=3.5&hand=11",
    "#model=./tiny&digit=7&color=gold&seed=1",
]
UNIFORMS = [(0, 0, 0, 9), (2**64 - 1, 3, 2**62, 9), (7, 0, 2**40, 17)]
SAMPLES = [(3, "red", 0, 0), (7, "teal", 1, 0), (0, "#ff8000", 2**64 - 1, 12)]

node = shutil.which("node")
pytestmark = pytest.mark.skipif(node is None, reason="node is not installed")


def browser(name: str) -> tuple[list[str], str]:
    """Return what a browser's tests run under, and its program; skips where one of both is missing."""
    if name == "webkit":
        found = next((str(path) for path in Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser")), None)
        if found is None or shutil.which("WebKitWebDriver") is None:
            pytest.skip("webkit2gtk-driver is not installed")
        if "DISPLAY" in os.environ:
            return [], found
        if shutil.which("xvfb-run") is None:
            pytest.skip("WebKitGTK needs a display, or xvfb")
        return ["xvfb-run", "--auto-servernum"], found
    names = {"chromium": ["chromium", "google-chrome"], "firefox": ["firefox-esr", "firefox"]}[name]
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"{names[0]} is not installed")
    return [], program


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page, of a shipped model and the committed bundle, and what is asked of it."""
    folder = tmp_path_factory.mktemp("browsers")
    (folder / "page.html").write_bytes(explorer_page(["joint", TINY]))
    with vaegen.load(TINY) as model:
        image = model.sample(3, "red")[0].ravel().tolist()
    golden = {
        "uniforms": [
            {"seed": str(seed), "attempt": str(attempt), "item": str(item), "size": size}
            for seed, attempt, item, size in UNIFORMS
        ],
        "samples": [
            {"digit": digit, "color": color, "seed": str(seed), "item": str(item)}
            for digit, color, seed, item in SAMPLES
        ],
        "reconstructions": [{"image": image, "seed": "1", "item": "77"}],
    }
    (folder / "requests.json").write_text(json.dumps({"links": LINKS, "golden": golden}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["chromium", "firefox", "webkit"])
def test_the_page(name: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper, program = browser(name)
    find = "for (const name of ['axe-core', 'onnxruntime-web', 'puppeteer-core']) require.resolve(name)"
    if subprocess.run([str(node), "-e", find], cwd=WEB, capture_output=True, check=False).returncode:
        pytest.skip("the test tools are not installed: npm install --ignore-scripts --prefix tests/web")
    suite = [*wrapper, str(node), "--test-reporter=spec", "browser/suite.js", name, program, str(prepared)]
    done = subprocess.run(suite, cwd=WEB, capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0

    results = json.loads((prepared / f"results-{name}.json").read_text(encoding="utf-8"))
    monkeypatch.chdir(TINY.parent)  # where ./tiny leads to the bundle
    for number, picture in enumerate(results["pictures"]):
        pixels = np.array(picture["pixels"], np.uint8)
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == picture["sha256"]
        assert near(pixels, np.asarray(run(picture["command"], tmp_path / f"{number}.png"))), picture["command"]
    saved = Image.open(results["saved"]["file"])
    made = run(results["saved"]["command"], tmp_path / "saved.png")
    assert near(np.asarray(saved), np.asarray(made))
    assert saved.info == made.info
    for engine, golden in results["golden"].items():
        print(engine)
        check_golden(golden)


def run(command: str, file: Path) -> Image.Image:
    """Run the command that the page shows, and return what it wrote."""
    program, *arguments = shlex.split(command)
    assert program == "vaegen"
    assert main([*arguments, "-o", str(file)]) == 0, command
    return Image.open(file)


def near(one: Any, other: Any) -> bool:
    """Return whether images are equal within 1 of 255, however their rows are told."""
    return int(np.abs(np.ravel(one).astype(int) - np.ravel(other).astype(int)).max()) <= 1


def check_golden(made: dict[str, Any]) -> None:
    """Hold what a browser made against what Python makes: uniforms to the bit, pixels within 1 of 255."""
    for (seed, attempt, item, size), values in zip(UNIFORMS, made["uniforms"], strict=True):
        assert values == uniform(seed, attempt, [item], size)[0].tolist()
    with vaegen.load(TINY) as model:
        image = model.sample(3, "red")
        for (digit, color, seed, item), one in zip(SAMPLES, made["samples"], strict=True):
            drawn = model.draw(digit, color, seed=seed, start=item)
            assert one["triesUsed"] == drawn.tries_used[0]
            np.testing.assert_allclose(one["latent"], drawn.latents[0], atol=1e-4)
            assert near(one["image"], drawn.images)
            assert near(one["unchecked"], model.sample(digit, color, tries=1))
        (one,) = made["reconstructions"]
        assert near(one["plain"], model.reconstruct(image))
        assert near(one["stochastic"], model.reconstruct(image, stochastic=True, seed=1, start=77))
