from pathlib import Path

import pytest
from vaegen import OutputError
from vaegen_training.gallery.report import Target

PICTURES = {"a.png": b"first", "b.png": b"second"}


def page(target: Target, names: object = PICTURES) -> str:
    assert isinstance(names, dict)
    return "".join(f"![]({target.link(name)})\n" for name in names)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("out", "files"),
    [
        ("new/report", ["report/report.md", "report/a.png", "report/b.png"]),
        ("new/x.md", ["x.md", "x/a.png", "x/b.png"]),
    ],
)
def test_page_and_pictures_find_each_other(tmp_path: Path, out: str, files: list[str]) -> None:
    target = Target(tmp_path / out)
    written = target.write(page(target), PICTURES, force=False)
    assert [str(path.relative_to(tmp_path / "new")) for path in written] == files
    assert sorted(contents(tmp_path / "new")) == sorted(files)
    assert all((target.page.parent / target.link(name)).read_bytes() == data for name, data in PICTURES.items())


@pytest.mark.parametrize("out", ["report", "x.md"])
def test_a_report_is_replaced_with_force_only(tmp_path: Path, out: str) -> None:
    target = Target(tmp_path / out)
    target.write(page(target), PICTURES, force=False)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="force=True") as refusal:
        target.write("", {}, force=False)
    assert isinstance(refusal.value.__cause__, FileExistsError)
    assert contents(tmp_path) == before
    target.write(page(target, {"c.png": b""}), {"c.png": b"third"}, force=True)
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["c.png"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("out", ["photos", "photos.md"])
@pytest.mark.parametrize("name", ["holiday.png", "notes.txt", ".git"])
def test_files_of_somebody_else_are_never_replaced(tmp_path: Path, out: str, name: str) -> None:
    target = Target(tmp_path / out)
    target.write(page(target), PICTURES, force=False)
    (tmp_path / "photos" / name).write_bytes(b"mine")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="no report wrote"):
        target.write(page(target), PICTURES, force=True)
    assert contents(tmp_path) == before


def test_an_empty_folder_is_taken_and_a_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    target = Target(tmp_path / "empty")
    assert len(target.write(page(target), PICTURES, force=False)) == 3
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(OutputError, match="not a folder"):
        Target(tmp_path / "file").check(force=True)
