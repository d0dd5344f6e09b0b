"""The test bundle is what its generator makes."""

import subprocess
import sys
from pathlib import Path

import pytest
import vaegen
from vaegen.manifest import interfaces, uniforms


def test_the_generator_gives_the_committed_bytes(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the generator needs it")
    subprocess.run([sys.executable, tiny.with_name("make_tiny.py"), "--out", tmp_path / "tiny"], check=True)
    made = {file.name: file.read_bytes() for file in (tmp_path / "tiny").iterdir()}
    assert made == {file.name: file.read_bytes() for file in tiny.iterdir()}


def test_the_manifest_lists_what_the_latent_spec_asks_for(tiny: Path) -> None:
    manifest = vaegen.load(tiny).manifest
    wanted = interfaces(manifest.model, uniforms(manifest, "sampler"), uniforms(manifest, "prior"))
    for name, graph in manifest.graphs.items():
        assert graph.inputs == wanted[name].inputs
        assert graph.outputs == wanted[name].outputs
    assert (uniforms(manifest, "sampler"), uniforms(manifest, "prior")) == (23, 14)


@pytest.mark.parametrize(
    ("latent", "outputs"),
    [
        (vaegen.LatentSpec(5), {"latent", "mean", "log_variance"}),
        (vaegen.LatentSpec(0, (3, 4)), {"latent", "logits"}),
        (vaegen.LatentSpec(5, (3, 4)), {"latent", "mean", "log_variance", "logits"}),
    ],
)
def test_each_kind_of_model_has_the_posterior_it_has(
    model: vaegen.Model, latent: vaegen.LatentSpec, outputs: set[str]
) -> None:
    graphs = interfaces(model.spec._replace(latent=latent), latent.size, 7)
    assert set(graphs["encoder"].outputs) == outputs
    assert set(graphs["sampler"].inputs) == outputs - {"latent"} | {"uniform"}
    assert graphs["decoder"].inputs["latent"].shape == ("n", latent.size)
