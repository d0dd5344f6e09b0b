"""The engine in JavaScript gives what onnxruntime gives, for every graph of every bundle here."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "runtime/vaegen/web/engine.js"
MODELS = sorted(ROOT.glob("runtime/vaegen/models/*/manifest.json"))
FOLDERS = [ROOT / "tests/assets/tiny", *(manifest.parent for manifest in MODELS)]
BATCHES = (1, 2, 7, 64)

Array = npt.NDArray[Any]

# Runs what the lines of "index.json" ask for; numbers go to and fro as files.
SCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
const [engine, folder] = process.argv.slice(-2);
const { compile } = await import(engine);
const arrays = { float32: Float32Array, int64: BigInt64Array, uint8: Uint8Array, bool: Uint8Array };
const programs = new Map();
for (const [number, { file, feeds }] of JSON.parse(readFileSync(`${folder}/index.json`)).entries()) {
  if (!programs.has(file)) programs.set(file, compile(readFileSync(file), file));
  const program = programs.get(file);
  const read = ({ type, shape }, name) =>
    ({ data: new arrays[type](new Uint8Array(readFileSync(`${folder}/${number}.${name}`)).buffer), shape });
  const given = Object.entries(feeds).map(([name, feed]) => [name, read(feed, name)]);
  const results = program.run(Object.fromEntries(given));
  for (const { name, type } of program.outputs) {
    const { data, shape } = results[name];
    const numbers = type === "int64" ? BigInt64Array.from(data, BigInt) : data;
    writeFileSync(`${folder}/${number}.${name}.out`, JSON.stringify(shape) + "\\n");
    writeFileSync(`${folder}/${number}.${name}.out`, numbers, { flag: "a" });
  }
}
"""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")


def chain(sessions: Mapping[str, ort.InferenceSession], n: int) -> list[tuple[str, dict[str, Array]]]:
    """Return feeds for each graph: a request, and what comes of it in the graph before."""
    draw = np.random.default_rng(n)
    graphs: list[tuple[str, dict[str, Array]]] = []

    def run(graph: str, known: Mapping[str, Array]) -> dict[str, Array]:
        session = sessions[graph]
        feeds = {}
        for each in session.get_inputs():
            shape = [size if isinstance(size, int) else n for size in each.shape]
            feeds[each.name] = known[each.name] if each.name in known else draw.random(shape, np.float32)
        graphs.append((graph, feeds))
        names = [each.name for each in session.get_outputs()]
        return dict(zip(names, session.run(names, feeds), strict=True))

    asked: dict[str, Array] = {
        "digit": np.arange(n, dtype=np.int64) % 10,
        "temperature": np.array(0.7, np.float32),
        "rgb": draw.random((n, 3), np.float32),
        "style": np.stack([draw.uniform(-60, 120, n), draw.uniform(-1, 5, n)], 1).astype(np.float32),
    }
    drawn = run("decoder", run("prior", asked))
    run("judge", asked | drawn)
    run("judge", asked)  # an image of noise
    run("decoder", run("sampler", run("encoder", drawn)))
    run("encoder", {})
    return graphs


def differing(expected: Array, got: Array) -> int:
    """Return how many rows differ by more than rounding; the scale is the largest number of the output."""
    assert expected.shape == got.shape
    rows = (len(expected), -1) if expected.size else (1, 0)
    left, right = (np.nan_to_num(each.astype(np.float64), nan=-1e30).reshape(rows) for each in (expected, got))
    tolerance = 2e-5 * max(1.0, float(np.abs(left).max(initial=0)))
    if expected.dtype == np.uint8:
        tolerance = 1
    elif expected.dtype != np.float32:
        tolerance = 0
    return int((np.abs(left - right).max(axis=1, initial=0) > tolerance).sum())


def test_operators_are_computed_and_refused_by_hand() -> None:
    subprocess.run(["node", "--test", Path(__file__).with_name("engine.test.js")], check=True, timeout=100)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_results_are_those_of_onnxruntime(folder: Path, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {file.stem: ort.InferenceSession(file, options) for file in folder.glob("*.onnx")}
    runs = [run for n in BATCHES for run in chain(sessions, n)]
    index = []
    for number, (graph, feeds) in enumerate(runs):
        described = {name: {"type": feed.dtype.name, "shape": feed.shape} for name, feed in feeds.items()}
        index.append({"file": str(folder / f"{graph}.onnx"), "feeds": described})
        for name, feed in feeds.items():
            (tmp_path / f"{number}.{name}").write_bytes(feed.tobytes())
    (tmp_path / "index.json").write_text(json.dumps(index))
    command = ["node", "--input-type=module", "-", ENGINE.as_uri(), str(tmp_path)]
    subprocess.run(command, input=SCRIPT, text=True, check=True, timeout=100)

    for number, (graph, feeds) in enumerate(runs):
        names = [each.name for each in sessions[graph].get_outputs()]
        for name, expected in zip(names, sessions[graph].run(names, feeds), strict=True):
            shape, _, data = (tmp_path / f"{number}.{name}.out").read_bytes().partition(b"\n")
            got = np.frombuffer(data, expected.dtype).reshape(json.loads(shape))
            rows = differing(expected, got)
            # One row may differ where a choice hangs on the last bit.
            assert rows <= 1, f"{graph}.{name}: {rows} of {len(expected)} rows differ"
