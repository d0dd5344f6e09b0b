"""A folder goes in, its mirror comes out; one bad file stops nobody, and nothing is lost."""

import os
from pathlib import Path

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen import Model, Outcome, OutputError, RequestError, folder, reconstruct_folder
from vaegen.images import read_image, write_png


@pytest.fixture
def source(model: Model, tmp_path: Path) -> Path:
    """Eleven images in three folders, and things that are no images."""
    root = tmp_path / "in"
    for index, image in enumerate(model.sample(np.arange(10), "gold")):
        target = root / ("a" if index < 5 else "a/deep") / f"{index}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_png(target, image)
    Image.new("RGB", (99, 50), "teal").save(root / "PHOTO.JPG")
    (root / "notes.txt").write_text("no image")
    (root / "a" / ".DS_Store").write_bytes(b"\0")
    (root / "empty").mkdir()
    return root


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_tree_is_mirrored_and_each_image_reconstructed(model: Model, source: Path, tmp_path: Path) -> None:
    before = tree(source)
    report = reconstruct_folder(model, source, tmp_path / "new" / "out")
    assert report == vaegen.FolderReport(planned=11, written=11, failures=())
    names = [*(f"a/{i}.png" for i in range(5)), *(f"a/deep/{i}.png" for i in range(5, 10)), "PHOTO.png"]
    assert sorted(tree(tmp_path / "new" / "out")) == sorted(names)
    for name in names:
        original = source / name if name != "PHOTO.png" else source / "PHOTO.JPG"
        expected = model.reconstruct(read_image(original)[None])[0]
        np.testing.assert_array_equal(read_image(tmp_path / "new" / "out" / name), expected)
    assert tree(source) == before


def test_one_bad_file_is_reported_and_skipped(model: Model, source: Path, tmp_path: Path) -> None:
    (source / "a" / "2.png").write_bytes(b"no image")
    (source / "a" / "3.png").write_bytes((source / "a" / "3.png").read_bytes()[:60])
    seen: list[Outcome] = []
    counts: list[int] = []
    report = reconstruct_folder(
        model, str(source), str(tmp_path / "out"), on_plan=counts.append, on_outcome=seen.append
    )
    assert counts == [11]
    assert (report.planned, report.written) == (11, 9)
    assert [failure.source.name for failure in report.failures] == ["2.png", "3.png"]
    assert "not a PNG" in str(report.failures[0].error)
    assert [outcome for outcome in seen if outcome.error] == list(report.failures)
    assert len(seen) == 11
    assert len(tree(tmp_path / "out")) == 9
    assert not (tmp_path / "out" / "a" / "2.png").exists()
    for outcome in seen:
        assert outcome.target.exists() == (outcome.error is None)


def test_all_bad_is_a_report_too(model: Model, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.png").touch()
    report = reconstruct_folder(model, tmp_path / "in", tmp_path / "out")
    assert (report.planned, report.written, len(report.failures)) == (1, 0, 1)
    assert not (tmp_path / "out").exists()


def test_a_target_that_cannot_be_written_is_reported(model: Model, source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("a file where a folder must go")
    report = reconstruct_folder(model, source, tmp_path / "out")
    assert (report.planned, report.written) == (11, 1)
    assert all("out/a" in str(failure.error) for failure in report.failures)
    assert (tmp_path / "out" / "a").read_text() == "a file where a folder must go"


@pytest.mark.parametrize("batch", [1, 3, 11, 256])
def test_noise_belongs_to_the_place_in_the_plan(
    model: Model, source: Path, tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "BATCH", batch)
    (source / "a" / "1.png").write_bytes(b"bad")
    reconstruct_folder(model, source, tmp_path / "out", stochastic=True, seed=4)
    jobs = folder.plan(source, tmp_path / "elsewhere")
    assert [job.index for job in jobs] == list(range(11))
    for job in jobs:
        if job.source.name != "1.png":
            expected = model.reconstruct(read_image(job.source)[None], stochastic=True, seed=4, start=job.index)[0]
            found = read_image(tmp_path / "out" / job.target.relative_to(tmp_path / "elsewhere"))
            np.testing.assert_array_equal(found, expected)


def test_two_images_of_one_name_are_refused_before_work_starts(model: Model, source: Path, tmp_path: Path) -> None:
    Image.new("RGB", (5, 5)).save(source / "a" / "2.jpg")
    with pytest.raises(RequestError, match=r"2\.jpg' and '.*2\.png' would both become '.*out/a/2\.png'; rename one"):
        reconstruct_folder(model, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["in", "in/out", "in/../in/a", "link"])
def test_a_target_in_the_source_is_refused(model: Model, source: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(source)
    before = tree(source)
    with pytest.raises(RequestError, match="lies in the source folder"):
        reconstruct_folder(model, source, tmp_path / target, force=True)
    assert tree(source) == before


def test_a_source_is_never_overwritten(model: Model, tmp_path: Path) -> None:
    inner = tmp_path / "in"
    (inner / "in").mkdir(parents=True)
    for name in ("in/x.png", "x.png"):
        Image.new("RGB", (28, 28), "red").save(inner / name)
    before = tree(inner)
    with pytest.raises(RequestError, match=r"would overwrite the source .*in/x\.png"):
        reconstruct_folder(model, inner, tmp_path, force=True)
    assert tree(inner) == before


def test_nothing_is_overwritten_unasked(model: Model, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "4.png").write_text("mine")
    with pytest.raises(OutputError, match=r"a/4\.png' exists") as refusal:
        reconstruct_folder(model, source, out)
    assert isinstance(refusal.value.__cause__, FileExistsError)
    assert tree(out) == {"a/4.png": b"mine"}
    assert reconstruct_folder(model, source, out, force=True).written == 11
    assert (out / "a" / "4.png").read_bytes().startswith(b"\x89PNG")


def test_folders_that_are_none(model: Model, source: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is not a folder"):
        reconstruct_folder(model, tmp_path / "none", tmp_path / "out")
    with pytest.raises(RequestError, match="is not a folder"):
        reconstruct_folder(model, source / "notes.txt", tmp_path / "out")
    with pytest.raises(RequestError, match=r"holds no images; their names end in \.png"):
        reconstruct_folder(model, source / "empty", tmp_path / "out")
    with pytest.raises(OutputError, match="it is not a folder"):
        reconstruct_folder(model, source / "a", source / "notes.txt")
    with pytest.raises(RequestError, match="seed"):
        reconstruct_folder(model, source, tmp_path / "out", seed=-1)


@pytest.mark.skipif(os.name != "posix", reason="links without rights are a matter of POSIX systems")
def test_linked_folders_are_not_followed(model: Model, source: Path, tmp_path: Path) -> None:
    (source / "loop").symlink_to(source)
    assert reconstruct_folder(model, source, tmp_path / "out").planned == 11
