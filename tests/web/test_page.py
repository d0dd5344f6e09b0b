"""What the explorer shows is what the command that it shows makes, and so is what it saves."""

import json
import shlex
import shutil
import subprocess
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen_cli import main

WEB = Path(vaegen.__file__).parent / "web"
MODELS = WEB.parent / "models"

DRIVER = """
import { load } from "WEB/index.js";
import { identityOf } from "WEB/manifest.js";
import { commandFor, sheetCommand } from "WEB/page/command.js";
import { draw } from "WEB/page/picture.js";
import { encodePng, enlarge, factsOf, fileName, join } from "WEB/page/png.js";
import { drawRows, listsOf, parseColors, parseDigits } from "WEB/page/sheet.js";
import { readAddress } from "WEB/page/store.js";

const { models, version, addresses, sheets } = JSON.parse(process.argv[2]);
const opened = {}, specs = {}, bundles = {}, results = [];
for (const [name, folder] of Object.entries(models)) {
  opened[name] = await load(folder);
  specs[name] = opened[name].manifest.model;
  bundles[name] = identityOf(opened[name].manifest);
}
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
for (const [address, scale] of addresses) {
  const { state, problems } = readAddress(address, specs);
  if (problems.length) throw new Error(problems.join(" "));
  const spec = specs[state.model];
  const { image } = await draw(opened[state.model], state);
  const facts = factsOf(state, spec, bundles[state.model], version);
  const png = await encodePng(enlarge(image, 28, scale), 28 * scale, facts);
  results.push({ command: commandFor(state, spec, scale), file: fileName(state), png: base64(png) });
}
for (const [address, digitText, colorText, scale] of sheets) {
  const { state } = readAddress(address, specs);
  const [digits, colors] = [parseDigits(digitText), parseColors(colorText)];
  const rows = [];
  for await (const row of drawRows(opened[state.model], state, digits, colors)) rows.push(row);
  const facts = factsOf(state, specs[state.model], bundles[state.model], version, listsOf(digits, colors));
  const width = 28 * colors.length;
  const png = base64(await encodePng(enlarge(join(...rows), width, scale), scale * width, facts));
  results.push({ command: sheetCommand(state, digitText, colorText, scale), file: "sheet.png", png });
}
console.log(JSON.stringify(results));
"""


def run_node(folder: Path, task: object) -> list[dict[str, str]]:
    """Run the driver on a task; skips where there is no Node."""
    if (node := shutil.which("node")) is None:
        pytest.skip("Node.js is not installed")
    script = folder / "driver.mjs"
    script.write_text(DRIVER.replace("WEB", WEB.as_uri()), encoding="utf-8")
    done = subprocess.run(
        [node, str(script), json.dumps(task)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, str]] = json.loads(done.stdout)
    return results


def test_the_command_shown_makes_the_picture_and_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joint = vaegen.load("joint")
    latent = joint.latent({"digit": 4, "hue": 0.55})[0].tolist()
    latent[-10:] = [0.1] * 10  # a soft code, as in the middle of a walk
    z, (n, _) = joint.spec.latent.continuous, joint.spec.latent.categorical
    addresses = [
        ("", 1),
        ("#digit=7&color=hsl(200, 90%25, 60%25)&seed=18446744073709551615&item=4611686018427387903", 1),
        ("#model=continuous&digit=0&color=%23ff8000&slant=-12.5&hand=7", 10),
        ("#model=discrete&digit=5&color=Gold&thickness=4&item=3", 1),
        ("#model=joint&latent=" + ",".join(map(repr, latent)), 1),
        ("#model=joint&latent=" + ",".join(["0.25"] * z) + ";" + ",".join(["3"] * n), 1),
    ]
    sheets = [("#seed=4&item=10&slant=15", "0-2,9", "red,hsl(200, 90%, 60%)", 4)]
    models = {name: str(MODELS / name) for name in ("joint", "continuous", "discrete")}
    task = {"models": models, "version": vaegen.__version__, "addresses": addresses, "sheets": sheets}
    results = run_node(tmp_path, task)
    assert len(results) == len(addresses) + len(sheets)
    for number, result in enumerate(results):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        program, *arguments = shlex.split(result["command"])
        assert program == "vaegen"
        assert main(arguments) == 0, result["command"]
        with Image.open(folder / result["file"]) as made, Image.open(BytesIO(b64decode(result["png"]))) as saved:
            assert saved.info == made.info, result["command"]
            assert list(saved.info) == list(made.info)
            apart = np.abs(np.asarray(saved, np.int16) - np.asarray(made, np.int16))
        assert apart.max() <= 1, result["command"]  # of 255: another engine rounds otherwise, here and there
