"""A folder is replaced as a whole, and only if it is what it was."""

from pathlib import Path

import pytest
from vaegen import OutputError, swap
from vaegen.swap import check_folder, write_folder


@pytest.fixture(params=["as here", "as on systems that cannot exchange names"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "as here":
        monkeypatch.setattr(swap, "_renameat2", lambda *_: False)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def replace(target: Path, contents: dict[str, bytes]) -> None:
    write_folder(target, contents, check_folder(target))


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "above" / "bundle"
    replace(target, {"a": b"1", "b": b"2"})
    replace(target, {"a": b"3"})
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"a": b"3"}
    assert names(target.parent) == ["bundle"]


def test_a_folder_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    replace(tmp_path / "bundle", {"a": b"1"})
    with pytest.raises(OutputError, match=r"cannot write .*bundle': File name too long"):
        replace(tmp_path / "bundle", {"a": b"2", "b" * 300: b""})
    assert (tmp_path / "bundle" / "a").read_bytes() == b"1"
    assert names(tmp_path) == ["bundle"]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        replace(tmp_path / "file" / "bundle", {"a": b"1"})
