"""The JavaScript client of docs/embed-other-languages.md gives what Python gives."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "embed-other-languages.md"
GOLDEN = json.loads((TESTS / "runtime" / "golden.json").read_text())
BUNDLES = [TESTS / "assets" / "tiny", *(vaegen.load(name).path for name in vaegen.models())]

DRIVER = """
const { Model, uniforms } = require("./vaegen.js");
const { readFileSync } = require("node:fs");
const task = JSON.parse(readFileSync(0, "utf8"));

async function main() {
  const noise = task.noise.map(([seed, attempt, item, size]) => [...uniforms(seed, attempt, item, size)]);
  if (!task.bundle) return { noise };
  const model = await Model.load(task.bundle);
  const samples = [], reconstructions = [];
  for (const [digit, color, options] of task.samples) samples.push([...(await model.sample(digit, color, options))]);
  for (const [pixels, options] of task.images) reconstructions.push([...(await model.reconstruct(pixels, options))]);
  return { noise, samples, reconstructions };
}

main().then((result) => console.log(JSON.stringify(result)));
"""
Node = Callable[..., Any]


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """The client and its example as the page has them; skips where they cannot run."""
    blocks = re.findall(r"```javascript\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name, code in zip(("vaegen.js", "example.js"), blocks, strict=True):
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "driver.js").write_text(DRIVER, encoding="utf-8")
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    probe = subprocess.run(
        ["node", "-e", "require('onnxruntime-node')"], cwd=tmp_path, capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip("Node.js finds no onnxruntime-node; install it by npm and set NODE_PATH to its node_modules")
    return tmp_path


@pytest.fixture
def run(client: Path) -> Node:
    """Run the driver on a task."""

    def call(**task: object) -> Any:
        done = subprocess.run(
            ["node", "driver.js"],
            cwd=client,
            input=json.dumps({"noise": [], "samples": [], "images": []} | task),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def test_the_client_is_about_100_lines() -> None:
    (code, _) = re.findall(r"```javascript\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(code.splitlines()) <= 110


def test_uniforms_are_the_same_to_the_last_bit(run: Node) -> None:
    golden = GOLDEN["uniforms"]
    noise = [[str(one["seed"]), one["attempt"], str(one["item"]), len(one["values"])] for one in golden]
    found = run(noise=noise)["noise"]
    assert found == [one["values"] for one in golden]


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
def test_pixels_are_within_one(run: Node, bundle: Path) -> None:
    model = vaegen.load(bundle)
    calls: list[dict[str, Any]] = [
        {"seed": digit % 3, "tries": tries, **style}
        for digit in range(10)
        for tries, style in ((1, {}), (8, {}), (8, {"slant": 12, "thickness": 2.5}))
    ]
    asked = [(row % 10, ((255, 0, 0), (20, 90, 130))[row % 2], 5 * row, call) for row, call in enumerate(calls)]
    draws = [model.draw(digit, color, start=item, **call) for digit, color, item, call in asked]
    assert bundle != BUNDLES[0] or max(draw.tries_used[0] for draw in draws) > 1
    expected = np.concatenate([draw.images for draw in draws])
    samples = [[digit, color, {"item": item, **call}] for digit, color, item, call in asked]
    images = [
        [image.reshape(-1).tolist(), {"stochastic": stochastic, "seed": 4, "item": 9}]
        for image in expected[:4]
        for stochastic in (False, True)
    ]
    again = [
        model.reconstruct(image[None], stochastic, seed=4, start=9)[0]
        for image in expected[:4]
        for stochastic in (False, True)
    ]
    found = run(bundle=str(bundle), samples=samples, images=images)
    for name, ours in (("samples", expected), ("reconstructions", np.stack(again))):
        theirs = np.array(found[name]).reshape(-1, 28, 28, 3)
        assert np.abs(theirs - ours.astype(int)).max() <= 1
        assert ours.max() > 100


def test_the_example_runs(client: Path) -> None:
    done = subprocess.run(
        ["node", "example.js", str(BUNDLES[0])], cwd=client, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("2352 values, the brightest 2")


def test_a_tampered_bundle_is_refused(client: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(BUNDLES[0], tmp_path / "bundle")
    data = bytearray((bundle / "prior.onnx").read_bytes())
    data[100] ^= 1
    (bundle / "prior.onnx").write_bytes(data)
    done = subprocess.run(
        ["node", "example.js", str(bundle)], cwd=client, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "prior.onnx is not the file" in done.stderr
