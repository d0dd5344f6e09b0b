import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vaegen
from vaegen import bundle, noise
from vaegen.errors import DataError, ExportError, OutputError
from vaegen.manifest import GRAPHS, MANIFEST, Manifest
from vaegen.verification import verify
from vaegen_export import export, parity, serialise
from vaegen_training.models import latents

GetRun = Callable[..., Path]
GetExported = Callable[..., Any]  # conftest's
MODELS = [("continuous", "default"), ("discrete", "default"), ("joint", "default"), ("joint", "seed")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(params=MODELS, ids=lambda model: "-".join(model))
def model(request: pytest.FixtureRequest, exported: GetExported) -> Any:
    return exported(*request.param)


def test_the_manifest_vouches_for_every_file_and_says_what_the_model_is(model: Any) -> None:
    files = contents(model.folder)
    manifest = Manifest.from_json(files.pop(MANIFEST).decode())
    assert manifest == model.manifest
    assert set(files) == {f"{name}.onnx" for name in GRAPHS}
    for graph in manifest.graphs.values():
        assert graph.sha256 == hashlib.sha256(files[graph.file]).hexdigest()
        assert graph.bytes == len(files[graph.file])
    assert manifest.parity["batches"] == [1, 2, 7, 64]
    assert set(manifest.producer) >= {"vaegen", "torch", "onnx"}
    # Among its checks: onnxruntime gives the golden outputs that torch gave.
    assert verify(model.folder).problems == ()
    spec, config = manifest.model, model.run.config
    assert (spec.latent, spec.preset, spec.names) == (config.model.latent, config.preset, model.run.vae.latent_names)
    assert (spec.gumbel_temperature is None) == (spec.kind == "continuous")
    assert spec.thresholds == model.run.verifier.thresholds
    if spec.style is None:
        assert config.preset == "seed"
    else:
        assert -40 < spec.style.slant[0] < 0 < spec.style.slant[5] < 20
        assert 1 < spec.style.thickness[0] < 2.5 < spec.style.thickness[5] < 3 < spec.style.thickness[-1]


def test_latents_are_named_after_what_they_change(exported: GetExported) -> None:
    hsv = ("hue", "saturation", "value")
    names = exported("joint").manifest.model.names
    assert (names.continuous[0], names.continuous[-4:]) == ("shape 0", ("shape 31", *hsv))
    assert names.categorical[:2] == ("digit", "code 0")
    names = exported("discrete").manifest.model.names
    assert names.continuous == ()
    assert names.categorical[:2] == ("digit", "code 0")
    assert names.categorical[-9:] == tuple(f"{part} {place}" for place in range(3) for part in hsv)
    assert exported("joint", "seed").manifest.model.names == (("shape 0", "shape 1"), ("code 0", "code 1", "code 2"))


def test_the_runtime_samples_what_torch_samples(model: Any) -> None:
    loaded = vaegen.load(model.folder)
    digits, color = [3, 1, 4, 1, 5, 9, 2], (255, 128, 0)
    found = loaded.sample(digits, color, seed=7, tries=1)

    uniform = torch.from_numpy(noise.uniform(7, 0, range(len(digits)), model.run.prior.noise_size))
    rgb = torch.tensor([color] * len(digits)) / 255
    with torch.no_grad():
        latent = model.run.prior(torch.tensor(digits), rgb, uniform, torch.tensor(loaded.spec.prior_temperature))
        expected = model.run.vae.decode(latent).permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(found - expected).max() <= 1  # one gray level


def test_the_runtime_reconstructs_what_torch_reconstructs(model: Any) -> None:
    colors = torch.tensor([255.0, 40.0, 120.0])
    images = (model.run.probe[:20].reshape(-1, 28, 28, 1) * colors).round().to(torch.uint8)
    with torch.no_grad():
        posterior = model.run.vae.encode(images.permute(0, 3, 1, 2) / 255)
        expected = model.run.vae.decode(latents.deterministic(posterior))
    found = vaegen.load(model.folder).reconstruct(images.numpy())
    assert np.abs(found - expected.permute(0, 2, 3, 1).numpy() * 255).max() <= 1


def test_the_same_run_exports_to_the_same_bytes(finished_run: GetRun, exported: GetExported, tmp_path: Path) -> None:
    export(finished_run("joint", "seed"), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(exported("joint", "seed").folder)


def test_a_graph_that_computes_something_else_fails_the_export(
    finished_run: GetRun, exported: GetExported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, files = serialise.to_onnx, exported("continuous").files

    def off_by_a_little(graph, model):  # type: ignore[no-untyped-def]
        if graph.name != "decoder":
            return files[graph.name]
        bias = graph.module.vae.decoder[-1].bias
        bias.data += 0.01
        try:
            return honest(graph, model)
        finally:
            bias.data -= 0.01

    monkeypatch.setattr(serialise, "to_onnx", off_by_a_little)
    with pytest.raises(ExportError, match=r"decoder\.image on .* differs from torch by 0\.00"):
        export(finished_run("continuous"), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quick(exported: GetExported, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of the continuous model that take its graphs from the one that is there, for they take seconds."""
    files = exported("continuous").files
    monkeypatch.setattr(serialise, "to_onnx", lambda graph, _: files[graph.name])
    monkeypatch.setattr(parity, "BATCHES", (2,))


@pytest.mark.usefixtures("quick")
def test_what_the_runtime_refuses_is_not_kept(
    finished_run: GetRun, exported: GetExported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    shutil.copytree(exported("joint").folder, target)
    old = contents(target)
    monkeypatch.setattr(bundle, "MAX_GRAPH", 100_000)  # bytes; the encoder has more
    with pytest.raises(ExportError, match=r"the runtime refuses the bundle, .*'encoder\.onnx'.* larger than"):
        export(finished_run("continuous"), target, force=True)
    assert contents(target) == old
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("quick")
def test_an_existing_bundle_is_replaced_only_when_asked(finished_run: GetRun, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / MANIFEST).write_text("an older bundle")
    with pytest.raises(OutputError, match="force=True replaces"):
        export(finished_run("continuous"), target)
    assert (target / MANIFEST).read_text() == "an older bundle"
    export(finished_run("continuous"), target, name="mine", force=True)
    assert vaegen.load(target).spec.name == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_that_is_no_bundle_is_never_touched(finished_run: GetRun, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is not a bundle"):
        export(finished_run("continuous"), tmp_path, force=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_unfinished_run_says_what_to_do(finished_run: GetRun, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no run"):
        export(tmp_path, tmp_path / "bundle")
    (tmp_path / "config.json").write_text((finished_run("continuous") / "config.json").read_text())
    with pytest.raises(DataError, match="is not finished; run its vaegen train command again"):
        export(tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
