"""A folder goes in, its mirror comes out; one bad file stops nobody, and nothing is lost."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen import ImageError, Model, Outcome, OutputError, RequestError, images, reconstruct_folder
from vaegen.encoding import encode_png
from vaegen.folder import dry_run, plan, run, work
from vaegen.folder.plan import item_of
from vaegen.images import read_image

# Committed numbers: other machines must find the same ones.
ITEMS = [3140178730274913, 2312015051303713, 2941120281063627]
PARTS = [{"0", "1", "3", "5", "8"}, {"2", "4", "6", "7", "PHOTO"}, {"9"}]


@pytest.fixture
def source(model: Model, tmp_path: Path) -> Path:
    """Eleven images in three folders, and things that are no images."""
    root = tmp_path / "in"
    for index, image in enumerate(model.sample(np.arange(10), "gold")):
        target = root / ("a" if index < 5 else "a/deep") / f"{index}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encode_png(image))
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
    ignored = {"other file": 1, "system file": 1}
    expected = vaegen.FolderReport(planned=11, written=11, skipped=0, failed=0, failures=(), unlike=1, ignored=ignored)
    assert report == expected
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
    assert (report.planned, report.written, report.failed) == (11, 9, 2)
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
    assert list((tmp_path / "out").iterdir()) == []


def test_a_target_that_cannot_be_written_is_reported(model: Model, source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("a file where a folder must go")
    report = reconstruct_folder(model, source, tmp_path / "out")
    assert (report.planned, report.written) == (11, 1)
    assert all("out/a" in str(failure.error) for failure in report.failures)
    assert (tmp_path / "out" / "a").read_text() == "a file where a folder must go"


@pytest.mark.parametrize("batch", [1, 3, 11, 256])
def test_noise_belongs_to_the_name(
    model: Model, source: Path, tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "CHUNK", batch)
    (source / "a" / "1.png").write_bytes(b"bad")
    reconstruct_folder(model, source, tmp_path / "out", stochastic=True, seed=4)
    names = ["PHOTO", *(f"a/{i}" for i in (0, 2, 3, 4)), *(f"a/deep/{i}" for i in range(5, 10))]
    assert sorted(tree(tmp_path / "out")) == [f"{name}.png" for name in names]
    for name in names:
        image = read_image(source / f"{name}{'.JPG' if name == 'PHOTO' else '.png'}")
        expected = model.reconstruct(image[None], stochastic=True, seed=4, items=[item_of(name.encode())])[0]
        difference = read_image(tmp_path / "out" / f"{name}.png").astype(int) - expected
        assert abs(difference).max() <= 1  # the row of the batch may show in a last bit


# Names of sources, and of the results in the same order; "/" at the end is a folder.
COLLISIONS = {
    "suffix": (["cut.jpg", "cut.png", "other.png"], ["cut.jpg.png", "cut.png.png", "other.png"]),
    "three": (["a/b.gif", "a/b.jpeg", "a/b.tif"], ["a/b.gif.png", "a/b.jpeg.png", "a/b.tif.png"]),
    "a whole name": (["cut.jpg", "cut.jpg.png", "cut.png"], ["cut.jpg.png", "cut.jpg.png.png", "cut.png.png"]),
    "two levels": (
        ["c.jpg", "c.jpg.png", "c.jpg.png.gif", "c.png"],
        ["c.jpg.png", "c.jpg.png.png", "c.jpg.png.gif.png", "c.png.png"],
    ),
    "no collision": (["cut.jpg", "cut.jpg.png", "Cut.png"], ["cut.png", "cut.jpg.png", "Cut.png"]),
    "a folder": (["x.jpg", "x.png/y.jpg"], ["x.jpg.png", "x.png/y.png"]),
}


def planned(source: Path, target: Path, **options: Any) -> dict[str, str]:
    """Return the plan: the place of each result by the source's."""
    pairs = dry_run(source, target, **options)
    return {image.relative_to(source).as_posix(): place.relative_to(target).as_posix() for image, place in pairs}


@pytest.mark.parametrize("store", ["on disk", "in memory"])
@pytest.mark.parametrize("case", COLLISIONS)
def test_results_that_would_be_one_file_keep_their_whole_names(
    tmp_path: Path, case: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store == "in memory":
        monkeypatch.setitem(sys.modules, "sqlite3", None)
    source, target = tmp_path / "in", tmp_path / "out"
    expected = dict(zip(*COLLISIONS[case], strict=True))
    for name in expected:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    assert planned(source, target) == expected
    assert planned(source, target, files=reversed(expected)) == expected
    parts = [planned(source, target, shard=(k, 3)) for k in (1, 2, 3)]
    assert sum(map(len, parts)) == len(expected)
    assert {name: place for part in parts for name, place in part.items()} == expected


def test_any_suffix_of_a_list_may_collide(tmp_path: Path) -> None:
    files = ["scan.001", "./scan.002", "scan.001", "scan", "/scan.002", "a//b.png"]
    assert list(dry_run(tmp_path, tmp_path / "out", files=files)) == [
        (tmp_path / "a/b.png", tmp_path / "out/a/b.png"),
        (tmp_path / "scan", tmp_path / "out/scan.png"),
        (tmp_path / "scan.001", tmp_path / "out/scan.001.png"),
        (Path("/scan.002"), tmp_path / "out/scan.002.png"),  # the other one of this place fails, by name
    ]


def test_names_that_a_system_takes_for_the_same(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FOLDS", True)
    files = ["A/x.jpg", "a/X.png", "\u00e9.png", "e\u0301.gif", "same.png", "SAME.png"]
    for name in files:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (28, 28)).save(tmp_path / "in" / name)
    report = reconstruct_folder(model, tmp_path / "in", tmp_path / "out")
    results = {"A/x.jpg.png", "a/X.png.png", "\u00e9.png.png", "e\u0301.gif.png", "SAME.png.png"}
    assert tree(tmp_path / "out").keys() == results
    (failure,) = report.failures
    assert "'same.png' and 'SAME.png' would both become" in str(failure.error)


def test_another_file_of_the_same_name_later_mixes_nothing(model: Model, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name, color in {"cut.png": "red", "cut.gif": "lime"}.items():
        Image.new("RGB", (28, 28), color).save(source / name)
        reconstruct_folder(model, source, out, skip_existing=True)
    # The first night's result stays as it is; the second night has both sources under names of their own.
    assert sorted(tree(out)) == ["cut.gif.png", "cut.png", "cut.png.png"]
    assert tree(out)["cut.png"] == tree(out)["cut.png.png"] != tree(out)["cut.gif.png"]


SYSTEM = ["._1.png", "__MACOSX/._1.png", "__MACOSX/1.png", "@eaDir/1.png/THUMB.jpg", "Thumbs.db", "a/desktop.ini"]
SYSTEM += ["#recycle/1.png", "$RECYCLE.BIN/1.png", "a/.Trashes/1.png", ".Trash-1000/files/1.png", "lost+found/1.png"]
SYSTEM += [".git/1.png", ".thumbnails/1.png", "System Volume Information/1.png", ".1.png.vaegen-tmp"]


@pytest.mark.parametrize("name", SYSTEM)
def test_what_systems_leave_behind_is_no_image(tmp_path: Path, name: str) -> None:
    for place in ("1.png", name):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    ignored: list[Any] = []
    assert [image.name for image, _ in dry_run(tmp_path, tmp_path / "out", on_ignored=ignored.append)] == ["1.png"]
    assert ignored == [{"system file": 1}]
    # What is pointed at is meant.
    if Path(name).suffix == ".png" and not Path(name).name.startswith("."):
        assert len(list(dry_run((tmp_path / name).parent, tmp_path / "out"))) == 1


@pytest.mark.parametrize("target", ["in", "in/../in", "link"])
def test_a_target_that_is_the_source_is_refused(model: Model, source: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(source)
    before = tree(source)
    with pytest.raises(RequestError, match="is the source folder itself"):
        reconstruct_folder(model, source, tmp_path / target, force=True)
    assert tree(source) == before


@pytest.mark.parametrize("target", ["in/out", "in/a/new/out", "in/../in/.out", "link"])
def test_a_target_in_the_source_is_no_source(model: Model, source: Path, tmp_path: Path, target: str) -> None:
    (source / "results").mkdir()
    (tmp_path / "link").symlink_to(source / "results")
    reconstruct_folder(model, source, tmp_path / "whole")
    out = tmp_path / target
    for written in (11, 0):
        report = reconstruct_folder(model, source, out, skip_existing=True, report=out / "r.jsonl")
        assert (report.planned, report.written) == (11, written)
    lines = [json.loads(line) for line in (out / "r.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines if line["status"] != "ignored"] == ["written"] * 11 + ["skipped"] * 11
    (out / "r.jsonl").unlink()
    assert tree(out) == tree(tmp_path / "whole")
    # The same of a list, as `find` has it.
    files = [path.relative_to(source) for path in source.rglob("*") if path.suffix in (".png", ".JPG")]
    report = reconstruct_folder(model, source, out, files=files, skip_existing=True)
    assert (report.skipped, report.ignored) == (11, {"target file": 11})


def test_a_source_is_never_overwritten(model: Model, tmp_path: Path) -> None:
    inner = tmp_path / "in"
    (inner / "in").mkdir(parents=True)
    for name in ("in/x.png", "x.png"):
        Image.new("RGB", (28, 28), "red").save(inner / name)
    before = tree(inner)
    with pytest.raises(RequestError, match="lies in the target folder"):
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


def test_a_link_in_the_target_does_not_lead_back_to_the_sources(model: Model, source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(source / "a")
    before = tree(source)
    with pytest.raises(RequestError, match="leads into the source folder"):
        reconstruct_folder(model, source, tmp_path / "out", force=True)
    assert tree(source) == before


def test_items_are_numbers_that_do_not_change() -> None:
    assert [item_of(name) for name in (b"a/1", b"PHOTO", b"\xff")] == ITEMS
    assert min(ITEMS) >= 0
    assert max(ITEMS) < 2**52


def test_the_report_has_each_file_and_its_errors(model: Model, source: Path, tmp_path: Path) -> None:
    (source / "a" / "2.png").write_bytes(b"no image")
    reconstruct_folder(model, source, tmp_path / "out", report=tmp_path / "logs" / "r.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "logs" / "r.jsonl").read_text().splitlines()]
    ignored = {"target": None, "status": "ignored"}
    assert lines[:2] == [
        {"path": "a/.DS_Store", **ignored, "reason": "system file"},
        {"path": "notes.txt", **ignored, "reason": "other file"},
    ]
    lines = lines[2:]
    assert [line["path"] for line in lines] == [
        "PHOTO.JPG",
        *(f"a/{i}.png" for i in range(5)),
        *(f"a/deep/{i}.png" for i in range(5, 10)),
    ]
    for line in lines:
        assert line["item"] == item_of(line["path"].rpartition(".")[0].encode())
        if line["path"] == "a/2.png":
            assert line["status"] == "failed"
            assert "not a PNG" in line["reason"]
            assert line["mse"] is line["mae"] is None
            continue
        assert (line["status"], line["reason"]) == ("written", None)
        difference = (read_image(line["target"]).astype(float) - read_image(source / line["path"])) / 255
        assert line["mse"] == pytest.approx((difference**2).mean(), rel=1e-5)
        assert line["mae"] == pytest.approx(abs(difference).mean(), rel=1e-5)
    with pytest.raises(OutputError, match=r"r\.jsonl' exists"):
        reconstruct_folder(model, source, tmp_path / "new", report=tmp_path / "logs" / "r.jsonl")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("form", ["png", "bmp", "webp", "tif", "jpg"])
def test_results_come_in_the_format_asked_for(model: Model, source: Path, tmp_path: Path, form: Any) -> None:
    reconstruct_folder(model, source, tmp_path / "png")
    reconstruct_folder(model, source, tmp_path / "out", format=form)
    names = [path.relative_to(tmp_path / "png") for path in (tmp_path / "png").rglob("*.png")]
    assert len(names) == 11
    for name in names:
        path = (tmp_path / "out" / name).with_suffix(f".{form}")
        with Image.open(path) as image:
            assert image.format == {"jpg": "JPEG", "tif": "TIFF"}.get(form, form.upper())
        difference = abs(read_image(path).astype(int) - read_image(tmp_path / "png" / name))
        assert difference.mean() < 8 if form == "jpg" else difference.max() == 0


def test_scans_are_taken_in_unless_told_otherwise(model: Model, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    digit = model.sample(3, "white")[0]
    (tmp_path / "in" / "light.png").write_bytes(encode_png(digit))
    (tmp_path / "in" / "scan.png").write_bytes(encode_png(255 - digit))
    Image.new("RGB", (300, 300), "white").save(tmp_path / "in" / "blank.png")
    kinds = {}
    for intake in images.INTAKE:
        lines = tmp_path / f"{intake}.jsonl"
        report = reconstruct_folder(model, tmp_path / "in", tmp_path / intake, intake=intake, report=lines)
        found = [json.loads(line) for line in lines.read_text().splitlines()]
        kinds[intake] = {line["path"]: (line["status"], line["intake"]) for line in found}
        assert (report.written, report.failed) == ((2, 1) if intake == "auto" else (3, 0))
    assert kinds["auto"] == {
        "blank.png": ("failed", None),
        "light.png": ("written", "as-is"),
        "scan.png": ("written", "ink"),
    }
    assert set(kinds["as-is"].values()) == {("written", "as-is")}
    assert report.unlike >= 2
    auto, as_is = tree(tmp_path / "auto"), tree(tmp_path / "as-is")
    assert auto["light.png"] == as_is["light.png"]
    assert auto["scan.png"] != as_is["scan.png"]


def test_existing_files_are_skipped_when_asked(model: Model, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "4.png").write_text("mine")
    (out / "a" / "3.png").touch()  # what a machine that lost power leaves
    seen: list[Outcome] = []
    report = reconstruct_folder(model, source, out, skip_existing=True, on_outcome=seen.append)
    assert (report.planned, report.written, report.skipped, report.failed) == (11, 10, 1, 0)
    assert [outcome.target.name for outcome in seen if outcome.status == "skipped"] == ["4.png"]
    assert (out / "a" / "4.png").read_text() == "mine"
    assert read_image(out / "a" / "3.png").any()
    with pytest.raises(RequestError, match="contradict"):
        reconstruct_folder(model, source, out, skip_existing=True, force=True)


def test_the_run_ends_at_a_failure_when_asked(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "CHUNK", 2)
    (source / "a" / "2.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"a/2\.png': not a PNG"):
        reconstruct_folder(model, source, tmp_path / "out", on_error="fail")
    # The same call goes on once the file is mended.
    Image.new("RGB", (28, 28), "red").save(source / "a" / "2.png")
    report = reconstruct_folder(model, source, tmp_path / "out", on_error="fail")
    assert report.skipped == 3
    assert report.written == 8
    reconstruct_folder(model, source, tmp_path / "whole")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_shards_are_parts_of_the_whole(model: Model, source: Path, tmp_path: Path) -> None:
    reconstruct_folder(model, source, tmp_path / "whole", stochastic=True)
    parts = []
    for k in (1, 2, 3):
        report = reconstruct_folder(model, source, tmp_path / "out", stochastic=True, shard=(k, 3))
        parts.append(report.written)
        reconstruct_folder(model, source, tmp_path / f"only{k}", stochastic=True, shard=(k, 3))
        # Files that come or go elsewhere do not change a part.
        assert {Path(name).stem for name in tree(tmp_path / f"only{k}")} == PARTS[k - 1]
    assert sum(parts) == 11
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert [path.name for path in tmp_path.rglob(".vaegen*")] == []
    for shard in ((0, 3), (4, 3), (1, 0), (1,), "1/3"):
        with pytest.raises(RequestError, match="shard"):
            reconstruct_folder(model, source, tmp_path / "new", shard=shard)  # type: ignore[arg-type]


def test_a_list_in_place_of_the_folder(model: Model, source: Path, tmp_path: Path) -> None:
    reconstruct_folder(model, source, tmp_path / "whole", stochastic=True)
    (source / "scan.dat").write_bytes((source / "a" / "1.png").read_bytes())
    absolute = str(tmp_path / "in" / "PHOTO.JPG")
    files: list[str | Path] = ["a/1.png", Path("./a/deep/7.png"), "a/1.png", absolute, "scan.dat", "none.png"]
    out = tmp_path / "out"
    report = reconstruct_folder(model, source, out, files=iter(files), stochastic=True)
    assert (report.planned, report.written, report.failed) == (5, 4, 1)
    assert "none.png" in str(report.failures[0].error)
    below = str(tmp_path / "in" / "PHOTO.png").lstrip("/")
    assert sorted(tree(out)) == sorted(["a/1.png", "a/deep/7.png", "scan.png", below])
    for name in ("a/1.png", "a/deep/7.png"):
        assert tree(out)[name] == tree(tmp_path / "whole")[name]
    for bad in ("../x.png", "a/../../x.png", "", ".", "/"):
        with pytest.raises(RequestError, match="names no place below the target"):
            reconstruct_folder(model, source, tmp_path / "new", files=[bad])
    with pytest.raises(RequestError, match="lies in the target folder"):
        reconstruct_folder(model, source, source / "a", files=["a/1.png"], force=True)
    with pytest.raises(RequestError, match="holds no images"):
        reconstruct_folder(model, source, tmp_path / "new", files=[])
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file systems there refuse such names")
def test_names_of_any_bytes(model: Model, tmp_path: Path) -> None:
    names = [b"two\nlines.png", b"not\xff\xfeutf8.png", b"esc\x1b[31m.png", "grün 3.png".encode(), b"-rf.png", b" .png"]
    (tmp_path / "in").mkdir()
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name)).write_bytes(encode_png(model.sample(3, "red")[0]))
    (tmp_path / "in" / "bad\n\udcff.png").write_bytes(b"no image")
    report = reconstruct_folder(model, tmp_path / "in", tmp_path / "out", report=tmp_path / "r.jsonl")
    assert (report.written, report.failed) == (6, 1)
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == sorted(names)  # noqa: PTH208
    error = str(report.failures[0].error)
    assert "bad\\n\\xff.png" in error
    assert error.isprintable()
    lines = (tmp_path / "r.jsonl").read_text(encoding="ascii").splitlines()
    assert {os.fsencode(json.loads(line)["path"]) for line in lines} == {*names, b"bad\n\xff.png"}


@pytest.mark.skipif(os.name != "posix", reason="links without rights are a matter of POSIX systems")
def test_links_that_lead_nowhere_or_in_circles(model: Model, source: Path, tmp_path: Path) -> None:
    (source / "gone.png").symlink_to(source / "nowhere.png")
    (source / "self.png").symlink_to("self.png")
    (source / "folder.png").symlink_to(source / "a")
    (source / "good.png").symlink_to(source / "a" / "1.png")
    os.mkfifo(source / "pipe.png")
    report = reconstruct_folder(model, source, tmp_path / "out")
    assert (report.planned, report.written) == (15, 12)
    assert [failure.source.name for failure in report.failures] == ["gone.png", "pipe.png", "self.png"]
    assert not (tmp_path / "out" / "good.png").is_symlink()


def test_files_that_vanish_are_failures(model: Model, source: Path, tmp_path: Path) -> None:
    def remove(_planned: int) -> None:
        shutil.rmtree(source / "a" / "deep")
        (source / "a" / "0.png").unlink()

    report = reconstruct_folder(model, source, tmp_path / "out", on_plan=remove)
    assert (report.planned, report.written, report.failed) == (11, 5, 6)
    assert all("No such file" in str(failure.error) for failure in report.failures)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list any folder")
def test_a_closed_folder_is_one_failure(model: Model, source: Path, tmp_path: Path) -> None:
    (source / "a" / "deep").chmod(0)
    report = reconstruct_folder(model, source, tmp_path / "out")
    (source / "a" / "deep").chmod(0o700)
    assert (report.planned, report.written, report.failed) == (7, 6, 1)
    assert "cannot list" in str(report.failures[0].error)


def test_memory_keeps_no_more_than_the_first_failures(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FAILURES_KEPT", 3)
    (tmp_path / "in").mkdir()
    for i in range(10):
        (tmp_path / "in" / f"{i}.png").touch()
    report = reconstruct_folder(model, tmp_path / "in", tmp_path / "out")
    assert (report.failed, len(report.failures)) == (10, 3)


@pytest.mark.parametrize(
    "wrong",
    [{"format": "gif"}, {"intake": "yes"}, {"on_error": "stop"}, {"workers": 0}, {"workers": "many"}],
)
def test_arguments_that_do_not_exist(model: Model, source: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=next(iter(wrong))):
        reconstruct_folder(model, source, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()
