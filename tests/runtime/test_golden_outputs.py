"""Golden outputs in the manifest find what checksums cannot: graphs that compute something else here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from vaegen import BundleError, golden
from vaegen.manifest import GRAPHS
from vaegen.noise import uniform
from vaegen.verification import verify

Vouch = Callable[[Path, str, bytes], None]


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["tiny", *vaegen.models()])
def test_every_output_is_recorded(tiny: Path, name: str) -> None:
    manifest = vaegen.load(tiny if name == "tiny" else name).manifest
    outputs = [f"{graph}.{output}" for graph, spec in manifest.graphs.items() for output in spec.outputs]
    assert sorted(manifest.golden) == sorted(outputs)
    # Ten rows that differ say more than ten times the same; the tiny model's log-variance is a constant.
    for output, numbers in manifest.golden.items():
        assert len(numbers) == golden.ROWS
        kind = manifest.graphs[output.split(".")[0]].outputs[output.split(".")[1]].dtype
        few = kind in ("bool", "int64") or (name, output) == ("tiny", "encoder.log_variance")
        assert len(set(numbers)) == golden.ROWS or few


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_graph_that_computes_a_little_else_is_found(bundle: Path, vouch: Vouch, graph: str) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    model = onnx.load(bundle / f"{graph}.onnx")
    name = {"decoder": "image", "judge": "realism", "encoder": "log_variance"}.get(graph, "latent")
    (place,) = [place for place, node in enumerate(model.graph.node) if name in node.output]
    model.graph.node[place].output[0] = "inner"
    model.graph.initializer.append(onnx.helper.make_tensor("factor", onnx.TensorProto.FLOAT, [], [0.9995]))
    model.graph.node.insert(place + 1, onnx.helper.make_node("Mul", ["inner", "factor"], [name]))
    vouch(bundle, graph, model.SerializeToString())
    (check,) = verify(bundle).problems
    assert (check.file, check.name) == (f"{graph}.onnx", "golden")
    assert f"{name} comes to" in (check.problem or "")


def test_a_bundle_without_them_loads_and_is_no_verified_one(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest.pop("golden"))
    assert vaegen.load(bundle).sample(3, "red").shape == (1, 28, 28, 3)
    problems = verify(bundle).problems
    assert [(check.file, check.name) for check in problems] == [(f"{name}.onnx", "golden") for name in GRAPHS]
    assert "export the model again" in (problems[0].problem or "")


def test_one_missing_or_other_number_is_found(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest["golden"]["judge.accepted"].pop())
    edit(bundle, lambda manifest: manifest["golden"]["decoder.image"].__setitem__(9, 0.5))
    assert [(check.file, check.name) for check in verify(bundle).problems] == [
        ("decoder.onnx", "golden"),
        ("judge.onnx", "golden"),
    ]


def test_they_are_looked_at_where_the_prior_is_broken(bundle: Path) -> None:
    (bundle / "prior.onnx").unlink()
    assert ("decoder.onnx", "golden", None) in [
        (check.file, check.name, check.problem) for check in verify(bundle).checks
    ]


def test_one_code_may_hang_on_the_last_bit_and_not_two() -> None:
    rows = np.eye(10, dtype=np.float32)
    recorded = golden.summarise(rows)
    golden.compare("latent", recorded, rows * np.float32(1 + 1e-5), chosen=True)
    rows[3] = np.roll(rows[3], 1)
    golden.compare("latent", recorded, rows, chosen=True)
    with pytest.raises(BundleError, match=r"latent comes to .* in golden row 3"):
        golden.compare("latent", recorded, rows, chosen=False)
    rows[7] = np.roll(rows[7], 1)
    with pytest.raises(BundleError, match="golden row 3"):
        golden.compare("latent", recorded, rows, chosen=True)
    with pytest.raises(BundleError, match="golden row 0"):
        golden.compare("image", recorded, np.full((10, 10), np.nan, np.float32), chosen=False)


def test_values_that_change_places_change_the_number() -> None:
    rows = np.random.default_rng(0).random((10, 50)).astype(np.float32)
    recorded = golden.summarise(rows)
    with pytest.raises(BundleError):
        golden.compare("image", recorded, rows[:, ::-1], chosen=False)


def test_pixels_may_be_rounded_to_the_next_level_here_and_there() -> None:
    rows = np.random.default_rng(0).integers(0, 255, (10, 28, 28, 3)).astype(np.uint8)
    recorded = golden.summarise(rows)
    few = rows + (np.random.default_rng(1).random(rows.shape) < 0.002).astype(np.uint8)
    golden.compare("pixels", recorded, few, chosen=False)
    with pytest.raises(BundleError, match="pixels comes to"):
        golden.compare("pixels", recorded, rows // 2 * 2, chosen=False)


def test_the_inputs_are_what_the_docstring_says(tiny: Path) -> None:
    manifest = vaegen.load(tiny).manifest
    prior = golden.inputs(manifest.graphs["prior"].inputs, manifest.model)
    assert prior["digit"].tolist() == list(range(10))
    assert prior["rgb"].tolist()[0] == [1, 0, 0]
    sampler = golden.inputs(manifest.graphs["sampler"].inputs, manifest.model)
    np.testing.assert_allclose(sampler["mean"], 4 * uniform(0, 0, range(10), 3) - 2, atol=1e-6)
    latent = golden.inputs(manifest.graphs["decoder"].inputs, manifest.model)["latent"]
    assert latent[:, 3:].sum(1).tolist() == [2] * 10
    u = uniform(0, 0, range(10), 2)
    np.testing.assert_allclose(prior["style"], np.stack([60 * u[:, 0] - 30, 4 * u[:, 1] + 1], 1), atol=1e-5)
    for graph, spec in manifest.graphs.items():
        for name, value in golden.inputs(spec.inputs, manifest.model).items():
            assert value.dtype == spec.inputs[name].dtype, (graph, name)


@pytest.mark.parametrize(
    "value",
    [[], {"judge.rank": 3}, {"judge.rank": ["1"]}, {"judge.rank": [True]}, {"x": [1e400]}, {"x": [10**400]}],
)
def test_what_is_no_list_of_numbers_is_refused_at_load(bundle: Path, value: Any) -> None:
    edit(bundle, lambda manifest: manifest.update(golden=value))
    with pytest.raises(BundleError, match="golden"):
        vaegen.load(bundle)
