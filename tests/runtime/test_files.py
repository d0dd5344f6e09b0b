"""A file is there whole or not at all, and never in another one's place unasked."""

import os
import stat
import sys
import threading
from pathlib import Path

import pytest
from vaegen import OutputError, files
from vaegen.files import check_free, read_file, write_file


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_written_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_file(tmp_path / "a.png", b"one")
    assert (tmp_path / "a.png").read_bytes() == b"one"
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("path", ["/proc/version", "/proc/kallsyms"], ids=["short", "long"])
def test_a_file_that_does_not_know_its_size_is_read_whole(path: str) -> None:
    if not Path(path).exists():
        pytest.skip("only Linux has such files")
    whole = Path(path).read_bytes()
    assert read_file(path, 2**27) == whole
    with pytest.raises(OSError, match="larger than"):
        read_file(path, len(whole) - 1)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_file(path, b"one")
    with pytest.raises(OutputError, match=r"a\.png' exists; force=True overwrites it") as refusal:
        write_file(path, b"two")
    assert isinstance(refusal.value.__cause__, FileExistsError)
    with pytest.raises(OutputError, match=r"a\.png' exists; force=True overwrites it") as refusal:
        check_free(path)
    assert isinstance(refusal.value.__cause__, FileExistsError)
    assert path.read_bytes() == b"one"
    write_file(path, b"two", force=True)
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["a.png"]


@pytest.fixture(params=["as here", "as on systems without nameless files"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "as here":
        monkeypatch.setattr(files, "_open_nameless", lambda *_: None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has nameless files")
def test_a_file_has_no_name_until_it_is_whole(tmp_path: Path, way: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    seen: list[list[str]] = []
    write = files._write

    def look(handle: int, data: bytes) -> None:
        write(handle, data)
        seen.append(names(tmp_path))

    monkeypatch.setattr(files, "_write", look)
    write_file(tmp_path / "a.png", b"one")
    assert seen == [[]]
    assert names(tmp_path) == ["a.png"]


def test_of_many_writers_one_wins_and_its_file_is_whole(tmp_path: Path) -> None:
    for turn in range(20):
        path = tmp_path / f"{turn}.png"
        start = threading.Barrier(8)
        lost: list[int] = []

        def write(number: int, path: Path = path, start: threading.Barrier = start, lost: list[int] = lost) -> None:
            start.wait()
            try:
                write_file(path, bytes([number]) * 100_000)
            except OutputError:
                lost.append(number)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        data = path.read_bytes()
        assert len(lost) == 7
        assert data == data[:1] * 100_000
        assert data[0] not in lost
    assert len(names(tmp_path)) == 20


def test_a_folder_or_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        write_file(tmp_path, b"x", force=True)
    with pytest.raises(OutputError, match="No such file or directory"):
        write_file(tmp_path / "no" / "a.png", b"x")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Not a directory"):
        write_file(tmp_path / "file" / "a.png", b"x")
    with pytest.raises(OutputError, match="too long"):
        write_file(tmp_path / ("a" * 300), b"x")


def test_a_dangling_link_is_something_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists"):
        write_file(tmp_path / "a.png", b"x")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_files_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_file(tmp_path / "a.png", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.png"
    write_file(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            write_file(path, b"x" * 5000, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


def test_a_synced_file_replaces_another_in_one_step(tmp_path: Path) -> None:
    write_file(tmp_path / "a.json", b"one", sync=True)
    write_file(tmp_path / "a.json", b"two", force=True, sync=True)
    assert (tmp_path / "a.json").read_bytes() == b"two"
    with pytest.raises(OutputError, match="exists"):
        write_file(tmp_path / "a.json", b"three", sync=True)
    assert names(tmp_path) == ["a.json"]
