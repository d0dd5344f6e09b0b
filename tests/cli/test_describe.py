import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vaegen
from vaegen.latent import short
from vaegen.manifest import Manifest

Run = Callable[..., Any]


def test_models(run: Run) -> None:
    result = run("models")
    assert result.code == 0
    assert [line.split()[0] for line in result.paths[1:]] == list(vaegen.models())
    assert [line.split()[0] for line in result.paths if "(default)" in line] == [vaegen.DEFAULT_MODEL]
    facts = json.loads(run("models", "--json").out)
    assert [one["name"] for one in facts] == list(vaegen.models())
    assert [one["kind"] for one in facts] == list(vaegen.models())
    assert all(one["quality"]["figures"] for one in facts)
    assert [one["name"] for one in facts if one["default"]] == [
        name for name in vaegen.models() if name == vaegen.DEFAULT_MODEL
    ]


def test_info_for_people(run: Run, tiny: Path) -> None:
    text = run("info", tiny).out
    manifest = Manifest.from_json((tiny / "manifest.json").read_text())
    assert text.startswith("tiny: joint model, preset handmade, ")
    assert "Z=3, N=2 of K=10, L=23" in text
    assert "  coordinates  red, green, blue\n  categoricals digit, place\n" in text
    assert "prior 1, Gumbel 1" in text
    assert "probability 0.8, color error 3, realism 0\n" in text
    assert "slant -25 to 25 degrees, thickness 1.5 to 4.5 pixels\n" in text
    for graph in manifest.graphs.values():
        assert graph.file in text
        assert f" {graph.bytes:,} {graph.sha256}\n" in text


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["shape 0", "shape 1", "shape 2", "hue", "saturation"], "shape 0-2, hue, saturation"),
        (["digit", "code 0", "hue 0", "value 0", "hue 1", "value 1"], "digit, code 0, hue 0-1, value 0-1"),
        (["code 1", "code 0", "code 3", "7"], "code 1, code 0, code 3, 7"),
    ],
)
def test_names_that_are_numbered_stand_together(names: list[str], text: str) -> None:
    assert short(names) == text


def test_info_shows_parity_quality_and_versions(run: Run, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest |= {"parity": {"decoder": {"image": 1e-7}}, "quality": {"raw": 0.99}, "producer": {"torch": "2.9"}}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    lines = [line.split() for line in run("info", bundle).paths]
    assert ["decoder.image", "1e-07"] in lines
    assert ["raw", "0.99"] in lines
    assert ["torch", "2.9"] in lines


def test_recorded_figures_are_shown_with_their_intervals(run: Run) -> None:
    """Those of the shipped models, as `vaegen evaluate --record` wrote them."""
    table = [line.split("  ") for line in run("models").paths]
    assert [cell.strip() for cell in table[0]][-2:] == ["accuracy", "color error"]
    for name in vaegen.models():
        with vaegen.load(name) as model:
            figures = model.manifest.quality["figures"]
        accuracy, error = figures["digit_accuracy"]["verified"], figures["color_error_median"]["verified"]
        (row,) = (line for line in run("models").paths if line.startswith(f"{name} "))
        assert row.split()[-2:] == [f"{accuracy['value']:.2%}", f"{error['value']:.2f}"]
        shown = run("info", name).paths
        assert shown[1].split() == ["verified", "raw", "reconstruction"]
        low, high = (f"{100 * accuracy[end]:.4g}" for end in ("low", "high"))
        assert shown[2].split()[:4] == ["accuracy", f"{100 * accuracy['value']:.4g}%", f"[{low},", f"{high}]"]
        assert shown[3].startswith(f"  color error, median          {error['value']:g} [{error['low']:g}, ")
        rows = [line[:31].strip() for line in shown[2 : shown.index(f"  folder       {vaegen.load(name).path}")]]
        assert len(rows) == len(figures)
        assert not any("_" in row for row in rows)
        here = f"  folder       {vaegen.load(name).path}"
        assert max(len(line) for line in [*shown, *run("models").paths] if line != here) <= 100


def test_a_bundle_whose_figures_have_another_form_is_shown_too(run: Run, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    for figures in (3, {"digit_accuracy": {"verified": {"value": "high"}}}, {"digit_accuracy": {"verified": 1}}):
        (bundle / "manifest.json").write_text(json.dumps(manifest | {"quality": {"figures": figures}}))
        assert run("info", bundle).code == 0


def test_info_as_json_is_the_manifest(run: Run, tiny: Path) -> None:
    assert json.loads(run("info", tiny, "--json").out) == json.loads((tiny / "manifest.json").read_text())


def test_describing_loads_no_onnxruntime(tiny: Path) -> None:
    program = "import sys; from vaegen_cli import main; print(main(sys.argv[1:]), 'onnxruntime' in sys.modules)"
    for call in (["info", str(tiny)], ["models", "--json"]):
        done = subprocess.run([sys.executable, "-c", program, *call], capture_output=True, check=True, text=True)
        assert done.stdout.splitlines()[-1] == "0 False"
