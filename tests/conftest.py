"""What tests of several packages need."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from vaegen.process import import_onnxruntime

import_onnxruntime()  # without telemetry, before a test module imports it


@pytest.fixture
def mount_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Yield a file system of a size such as "100k", where mounting is allowed; one a test."""
    disk = tmp_path / "disk"

    def mount(size: str) -> Path:
        disk.mkdir()
        program = shutil.which("mount")
        command = [program or "mount", "-t", "tmpfs", "-o", f"size={size}", "vaegen-test", str(disk)]
        if program is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this process may not mount a small file system")
        return disk

    yield mount
    if disk.is_mount():
        subprocess.run(["umount", "-l", str(disk)], check=True)
