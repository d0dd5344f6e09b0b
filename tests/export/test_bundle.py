import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

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
from vaegen_training.train.run_folder import load_run

GetRun = Callable[..., Path]
MODELS = [("continuous", "default"), ("discrete", "default"), ("joint", "default"), ("joint", "seed")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="session")
def exported(finished_run: GetRun, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folders = {}
    for kind, preset in MODELS:
        folders[kind, preset] = tmp_path_factory.mktemp("bundles") / f"{preset}-{kind}"
        export(finished_run(kind, preset), folders[kind, preset])
    return folders


@pytest.fixture(params=MODELS, ids=lambda model: "-".join(model))
def model(request: pytest.FixtureRequest, exported: dict[tuple[str, str], Path]) -> tuple[str, str]:
    choice: tuple[str, str] = request.param
    return choice


def test_the_manifest_vouches_for_every_file(model: tuple[str, str], exported: dict[tuple[str, str], Path]) -> None:
    files = contents(exported[model])
    manifest = Manifest.from_json(files.pop(MANIFEST).decode())
    assert set(files) == {f"{name}.onnx" for name in GRAPHS}
    for graph in manifest.graphs.values():
        assert graph.sha256 == hashlib.sha256(files[graph.file]).hexdigest()
        assert graph.bytes == len(files[graph.file])
    assert (manifest.model.kind, manifest.model.preset) == model
    assert manifest.parity["batches"] == [1, 2, 7, 64]
    assert set(manifest.producer) >= {"vaegen", "torch", "onnx"}
    # Among its checks: onnxruntime gives the golden outputs that torch gave.
    assert verify(exported[model]).problems == ()
    assert (manifest.model.gumbel_temperature is None) == (model[0] == "continuous")


def test_the_runtime_samples_what_torch_samples(
    model: tuple[str, str], exported: dict[tuple[str, str], Path], finished_run: GetRun
) -> None:
    loaded = vaegen.load(exported[model])
    digits, color = [3, 1, 4, 1, 5, 9, 2], (255, 128, 0)
    found = loaded.sample(digits, color, seed=7, tries=1)

    _, vae, prior, _ = load_run(finished_run(*model))
    serialise.round_weights(prior)
    uniform = torch.from_numpy(noise.uniform(7, 0, range(len(digits)), prior.noise_size))
    rgb = torch.tensor([color] * len(digits)) / 255
    with torch.no_grad():
        latent = prior(torch.tensor(digits), rgb, uniform, torch.tensor(loaded.spec.prior_temperature))
        expected = vae.decode(latent).permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(found - expected).max() <= 1  # one gray level


def test_the_runtime_reconstructs_what_torch_reconstructs(
    model: tuple[str, str], exported: dict[tuple[str, str], Path], finished_run: GetRun
) -> None:
    _, vae, prior, gray = load_run(finished_run(*model))
    serialise.round_weights(prior)
    images = (gray[:20].reshape(-1, 28, 28, 1) * torch.tensor([255.0, 40.0, 120.0])).round().to(torch.uint8)
    with torch.no_grad():
        expected = vae.decode(latents.deterministic(vae.encode(images.permute(0, 3, 1, 2) / 255)))
    found = vaegen.load(exported[model]).reconstruct(images.numpy())
    assert np.abs(found - expected.permute(0, 2, 3, 1).numpy() * 255).max() <= 1


def test_the_same_run_exports_to_the_same_bytes(
    finished_run: GetRun, exported: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    export(finished_run("joint", "default"), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(exported["joint", "default"])


def test_a_graph_that_computes_something_else_fails_the_export(
    finished_run: GetRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = serialise.to_onnx

    def off_by_a_little(graph, model):  # type: ignore[no-untyped-def]
        if graph.name != "decoder":
            return honest(graph, model)
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


def test_what_the_runtime_refuses_is_not_kept(
    finished_run: GetRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    shutil.copytree(Path(vaegen.__file__).parent / "models" / "joint", target)
    old = contents(target)
    monkeypatch.setattr(bundle, "MAX_GRAPH", 100_000)  # bytes; the encoder has more
    monkeypatch.setattr(parity, "BATCHES", (2,))
    with pytest.raises(ExportError, match=r"the runtime refuses the bundle, .*'encoder\.onnx'.* larger than"):
        export(finished_run("continuous"), target, force=True)
    assert contents(target) == old
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_existing_bundle_is_replaced_only_when_asked(
    finished_run: GetRun, exported: dict[tuple[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / MANIFEST).write_text("an older bundle")
    with pytest.raises(OutputError, match="--force"):
        export(finished_run("continuous"), target)
    assert (target / MANIFEST).read_text() == "an older bundle"
    # The gate has its own tests; without it the second export takes a second less.
    monkeypatch.setattr(parity, "BATCHES", (2,))
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
