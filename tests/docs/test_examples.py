"""Every example of the pages and of the help texts runs, or says why no test can run it."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import vaegen
from vaegen_cli.app import VERBS, cli

from tests.docs.pages import ALL, ROOT, Block
from tests.photographs.render import simulate

KNOWN = {"", "ci", "needs", "not run", "run by"}

# A shell in which the examples are typed. Verbs that take long run in tests/export/test_pipeline.py, tests/training,
# tests/security/test_faults.py and tests/cli/test_bench.py; here their arguments are looked at. A server listens where
# it can, a browser is not opened, and what is installed here is not installed again, but must be an extra there is.
SLOW = Path(__file__).with_name("slow.py")
SHELL = r"""
set -euo pipefail
vaegen() {
  case $1 in
    train | export | evaluate | report | bench)
      case "$*" in *--show*) command vaegen "$@" ;; *) python "$SLOW" "$@" ;; esac ;;
    serve)
      command vaegen "$@" --port 0 >address 2>log &
      trap 'kill $(jobs -p)' EXIT
      until [ -s address ]; do sleep 0.1; done ;;
    explore) case "$*" in *-o*) command vaegen "$@" ;; esac ;;
    *) command vaegen "$@" ;;
  esac
}
pip() { [ "$1" = install ] && [[ " $EXTRAS " == *" $(sed 's/.*\[\(.*\)\].*/\1/' <<<"$2") "* ]]; }
curl() { command curl --fail --silent --show-error "${@//http:\/\/127.0.0.1:8000\//$(cat address)}"; }
"""


# What the examples of a verb's help start from: what others make, a bundle and keys.
STARTED = """
vaegen sample -q --digit 3 --color red
vaegen sample -q --digit 0-2 --color gold -o digits
cp -r "$(python -c "import vaegen; print(vaegen.load('joint').path)")" my-bundle
openssl ecparam -name prime256v1 -genkey -noout -out private.pem
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with what readers of the pages have: photographs, scans, files of docs/ and README's environment."""
    for folder in ("photos", "scans/a"):
        (tmp_path / folder).mkdir(parents=True)
    for number, one in enumerate(simulate(2, 1, longest=400)):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(one.data)
        (tmp_path / "scans" / "a" / f"{number}.png").write_bytes(one.data)
    (tmp_path / "docs").mkdir()
    for name in ("photo.jpg", "small.toml"):
        shutil.copy(ROOT / "docs" / name, tmp_path / "docs")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("started")
    done = shell(STARTED, folder)
    assert done.returncode == 0, done.stderr
    return folder


def shell(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    names = os.environ | {
        "PATH": programs,
        "EXTRAS": " ".join(extras),
        "SLOW": str(Path(__file__).with_name("slow.py")),
    }
    command = ["bash", "-c", SHELL + script]
    return subprocess.run(command, cwd=folder, env=names, capture_output=True, text=True, check=False, timeout=300)


def test_every_block_is_of_a_known_kind() -> None:
    assert {block.how for block in ALL} <= KNOWN
    assert len(ALL) > 50


@pytest.mark.parametrize("block", [block for block in ALL if block.how == "run by"], ids=str)
def test_a_block_that_another_test_runs_is_read_there(block: Block) -> None:
    file, _, name = block.what.partition(", ")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert Path(block.page).name in text
    assert f'"{name}"' in text or not name


@pytest.mark.parametrize("block", [block for block in ALL if block.how == "not run"], ids=str)
def test_a_block_that_cannot_run_parses(block: Block) -> None:
    """`pytest -rs` lists them with their reasons."""
    for line in re.findall(r"^(?:.* )?vaegen ((?:\w+) .*)$", block.text, re.MULTILINE):
        if block.language == "sh":
            verb, *arguments = shlex.split(line, comments=True)
            command = cli.get_command(click.Context(cli), verb)
            assert command is not None, line
            command.make_context(verb, [argument.replace("$kind", "joint") for argument in arguments])
    pytest.skip(block.what)


@pytest.mark.parametrize(
    "block", [block for block in ALL if block.language == "python" and block.how in ("", "needs")], ids=str
)
def test_python(block: Block, tmp_path: Path) -> None:
    for package in filter(None, block.what.split(", ")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    (tmp_path / "program.py").write_text(block.text, encoding="utf-8")
    command = [sys.executable, "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


# Each page that has examples for a shell, and all of these in order.
SESSIONS = {
    page: "\n".join(block.text for block in ALL if (block.page, block.language, block.how) == (page, "sh", ""))
    for page in dict.fromkeys(block.page for block in ALL if (block.language, block.how) == ("sh", ""))
}


@pytest.mark.parametrize("page", SESSIONS)
def test_a_page_typed_into_a_shell(page: str, home: Path) -> None:
    typed = SESSIONS[page]
    for name in set(re.findall(r"\./(my-\w+)", typed)) - set(re.findall(r"--out (my-\w+)", typed)):
        shutil.copytree(vaegen.load("joint").path, home / name)
    done = shell(typed, home)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("verb", ["vaegen", *VERBS])
def test_the_examples_of_a_help_text(verb: str, started: Path, tmp_path: Path) -> None:
    command = cli if verb == "vaegen" else cli.get_command(click.Context(cli), verb)
    assert command is not None
    typed = re.findall(r"^    (vaegen .+)$", command.get_help(click.Context(command, info_name=verb)), re.MULTILINE)
    assert typed
    folder = tmp_path / "here"
    if verb in ("vaegen", "sample"):
        folder.mkdir()
    else:
        shutil.copytree(started, folder)
    if verb == "decode":
        assert shell("vaegen encode -q digits -o latents.npz", folder).returncode == 0
    done = shell("\n".join(typed), folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "json" and not block.how], ids=str)
def test_json(block: Block) -> None:
    text = block.text.strip()
    json.loads(text if text.startswith("{") else f"{{{text}}}")


def test_no_block_is_left_over() -> None:
    left = [block for block in ALL if not block.how and block.language not in ("python", "sh", "json", "text")]
    assert not left
