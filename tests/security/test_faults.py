"""The fault matrix: every verb that writes, with each fault that a machine can have.

Whatever happens, the exit code is a documented one, stderr has a few lines and no traceback, each file holds its old or
its new content in full, and the same command succeeds afterwards and leaves nothing else behind.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from vaegen.encoding import encode_png
from vaegen_cli import main

from tests.security.faulty import CANNOT, SECONDS

ASSETS = Path(__file__).parents[1] / "assets"
TINY, DIGITS = ASSETS / "tiny", ASSETS / "digits"
MEMORY = 400_000  # KiB of address space
LINES = 3  # on stderr: the error, the sum, the files that failed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults as Linux has them")

Tree = dict[str, bytes]
Call = Callable[..., int]


@dataclass(frozen=True)
class Verb:
    """A command that writes below its working folder, and what is there before it."""

    command: str
    """With {inputs} for the folder of what it reads."""
    old: str | None = "old"
    """"old" for files of that content, None for nothing, else a folder and what of the inputs is copied there."""
    kills: int = 1
    """Every how many of the calls that change a name the process is killed."""
    fills: int = 1
    """Every how many of the calls that need room the disk becomes full."""
    pages: int = 1
    """By how many pages the disk grows until all fits."""
    heavy: bool = False
    """Whether it needs the training extra."""
    varying: tuple[str, ...] = ()
    """Ends of the names of files that hold times."""


DATA = "--data-dir {digits} --no-verify"
SET = (
    "vae.epochs=0.2 vae.batch=50 model.hidden=16 prior.hidden=16 prior.field_hidden=16 flow_stage.epochs=0.2 "
    "flow_stage.batch=50 prior.examples=100 prior_stage.epochs=1 prior_stage.batch=50 "
    "sharpen_stage.epochs=0.2 sharpen_stage.batch=50 verifier_stage.epochs=0.2 verifier_stage.batch=50"
)
TRAIN = f"train joint {DATA} --device cpu --out run -q " + " ".join(f"--set {pair}" for pair in SET.split())
VERBS = {
    "sample": Verb("sample --model {tiny} --digit 3 --color red -o a.png --force"),
    "sample, new": Verb("sample --model {tiny} --digit 3 --color red -o a.png", old=None),
    "sample, many": Verb("sample --model {tiny} --digit 1,2 --color red -o out/ --force"),
    "sample, sheet": Verb("sample --model {tiny} --digit 1,2 --color red --grid -o new/a.png", old=None),
    "sample, array": Verb("sample --model {tiny} --digit 1,2 --color red -o a.npy --force"),
    "reconstruct": Verb("reconstruct {inputs}/in/a/1.png a.png --model {tiny} --force"),
    "reconstruct, folder": Verb("reconstruct {inputs}/in out --model {tiny} --workers 1", old=None),
    "reconstruct, report": Verb("reconstruct {inputs}/in out --model {tiny} --report r.jsonl --force"),
    "reconstruct, workers": Verb("reconstruct {inputs}/in out --model {tiny} --workers 2 --force", kills=9, fills=9),
    "encode": Verb("encode {inputs}/in -o a.npz --model {tiny} --force"),
    "encode, lines": Verb("encode {inputs}/in -o a.jsonl --model {tiny} --force"),
    "decode": Verb("decode {inputs}/latents.npz -o out/ --model {tiny} --force"),
    "train": Verb(
        TRAIN,
        old=None,
        kills=4,
        fills=6,
        pages=70,
        heavy=True,
        varying=("metrics.jsonl", "summary.json", "config.json"),
    ),
    "export": Verb("export {inputs}/run --out b --force", old="b tiny", kills=12, fills=24, pages=160, heavy=True),
    "evaluate": Verb(f"evaluate ./b --record --n 100 {DATA}", old="b tiny", fills=3, heavy=True),
    "report": Verb(f"report {{tiny}} --n 100 {DATA} -o r", old=None, kills=2, fills=15, pages=60, heavy=True),
}
HEAVY = "vaegen_training vaegen_training.gallery vaegen_export torch.onnx._internal.exporter._core torch._dynamo"
torch_here = pytest.mark.skipif(find_spec("torch") is None, reason="needs the training extra")
matrix = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[torch_here] if verb.heavy else []) for name, verb in VERBS.items()]
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, their latents and, where training is installed, a finished run; read only."""
    root = tmp_path_factory.mktemp("inputs")
    for number, name in enumerate(("a/1.png", "2.png"), 1):
        (root / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / name).write_bytes(encode_png(np.full((28, 28, 3), 40 * number, np.uint8)))
    assert main(["encode", f"{root}/in", "-o", f"{root}/latents.npz", "--model", str(TINY), "-q"]) == 0
    (root / "tiny").symlink_to(TINY)
    return root


class Machine:
    """A machine that has faults on demand."""

    def __init__(self, inputs: Path, heavy: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("faulty.py")), *heavy.split()]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        self.inputs = inputs
        self.known: dict[str, Tree] = {}

    def call(self, verb: Verb, here: Path, fault: str = "", at: int = 0, err: Path | None = None) -> tuple[int, str]:
        """Run a verb; return its exit code and what it said on stderr, which goes through a file beside `here`."""
        assert self._process.stdin
        assert self._process.stdout
        err = err or here.with_name("err")
        order = {"argv": words(verb, self.inputs), "cwd": str(here), "err": str(err), "fault": fault, "at": at}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline()), err.read_text()

    def expected(self, name: str, here: Path) -> Tree:
        """Return what a verb writes where nothing is wrong."""
        if name not in self.known:
            place = here.with_name("expected")
            prepare(VERBS[name], place, {}, self.inputs)
            code, err = self.call(VERBS[name], place)
            assert code == 0, err
            self.known[name] = tree(place, VERBS[name])
        return self.known[name]

    def end(self) -> None:
        self._process.communicate(timeout=SECONDS)


@pytest.fixture(scope="module")
def light(inputs: Path) -> Iterator[Machine]:
    machine = Machine(inputs, "")
    yield machine
    machine.end()


@pytest.fixture(scope="module")
def heavy(inputs: Path) -> Iterator[Machine]:
    machine = Machine(
        inputs,
        HEAVY,
    )
    place = inputs / "training"
    place.mkdir()
    code, err = machine.call(VERBS["train"], place)
    assert code == 0, err
    (inputs / "run").symlink_to(place / "run")
    yield machine
    machine.end()


@pytest.fixture
def machine(name: str, request: pytest.FixtureRequest) -> Machine:
    found: Machine = request.getfixturevalue("heavy" if VERBS[name].heavy else "light")
    return found


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def words(verb: Verb, inputs: Path) -> list[str]:
    return [word.format(inputs=inputs, tiny=TINY, digits=DIGITS) for word in verb.command.split()]


def prepare(verb: Verb, here: Path, expected: Tree, inputs: Path) -> Tree:
    """Make the working folder as the verb finds it; return what it holds."""
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    if verb.old == "old":
        for name in expected:
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            (here / name).write_bytes(b"old")
    elif verb.old is not None:
        name, source = verb.old.split()
        shutil.copytree(inputs / source, here / name)
    return tree(here, verb)


def tree(here: Path, verb: Verb) -> Tree:
    """Return the files by name, those that hold times without their content."""
    found = {str(path.relative_to(here)): path.read_bytes() for path in here.rglob("*") if path.is_file()}
    return {name: b"" if name.endswith(verb.varying or ("?",)) else data for name, data in found.items()}


def check_whole(found: Tree, before: Tree, expected: Tree) -> None:
    """Check that each file that is known is as it was or as it should be; the verb `train` is checked by its end."""
    for name, data in found.items():
        if name == "r.jsonl" and data != b"old":  # a log, which grows line by line
            assert all(json.loads(line)["status"] for line in data.splitlines())
        elif name in expected and not name.startswith("run/"):
            assert data in (before.get(name), expected[name]), f"{name} is neither the old one nor the new one"


def check_lines(code: int, err: str, codes: tuple[int, ...]) -> None:
    assert "Traceback" not in err
    assert code in codes, err
    assert len(err.splitlines()) <= LINES, err


def check_again(machine: Machine, name: str, here: Path, expected: Tree) -> None:
    """Check that the same command, with --force where a new file is there, does all of its work."""
    verb = VERBS[name]
    if name.startswith("sample") and "--force" not in verb.command:
        verb = Verb(verb.command + " --force", verb.old)
    code, err = machine.call(verb, here)
    check_lines(code, err, (0,))
    found = tree(here, verb)
    if "r.jsonl" in found:  # a run that goes on adds lines, in which what was done before is skipped
        names, wanted = (
            {json.loads(line)["path"] for line in each["r.jsonl"].splitlines()} for each in (found, expected)
        )
        assert names == wanted
        expected = expected | {"r.jsonl": found["r.jsonl"]}
    assert found == expected


def is_temporary(name: str) -> bool:
    return Path(name).name.startswith(".vaegen-") or ".vaegen-tmp" in name


@matrix
def test_a_disk_that_is_full_at_any_call(machine: Machine, name: str, here: Path) -> None:
    verb, expected = VERBS[name], machine.expected(name, here)
    for at in range(1, 1000, verb.fills):
        before = prepare(verb, here, expected, machine.inputs)
        code, err = machine.call(verb, here, "full", at)
        check_lines(code, err, (0, 1, 4))
        found = tree(here, verb)
        check_whole(found, before, expected)
        assert [name for name in found if is_temporary(name) and "unfinished" not in name] == []
        if code == 0:
            assert found == expected
            break
        if not verb.heavy:
            check_again(machine, name, here, expected)
    assert at > verb.fills


@matrix
def test_a_kill_at_any_change_of_a_name(machine: Machine, name: str, here: Path) -> None:
    verb, expected = VERBS[name], machine.expected(name, here)
    for at in range(1, 1000, verb.kills):
        before = prepare(verb, here, expected, machine.inputs)
        code, err = machine.call(verb, here, "kill", at)
        assert "Traceback" not in err
        check_whole(tree(here, verb), before, expected)
        if code == 0:
            break
        assert code == -9
        check_again(machine, name, here, expected)
    assert at > verb.kills


@matrix
@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr", "stdin stdout stderr"])
def test_closed_descriptors(machine: Machine, name: str, closed: str, here: Path) -> None:
    verb, expected = VERBS[name], machine.expected(name, here)
    if verb.heavy and closed != "stdin stdout stderr":
        pytest.skip("slow; with all three closed, it is tried")
    prepare(verb, here, expected, machine.inputs)
    code, err = machine.call(verb, here, closed)
    # Its figures are lost, though recorded; of the others nothing but the names of their files.
    check_lines(code, err, (4,) if name == "evaluate" and "stdout" in closed else (0,))
    assert tree(here, verb) == expected


@matrix
def test_a_disk_of_any_size(machine: Machine, name: str, here: Path, mount_disk: Callable[[str], Path]) -> None:
    verb, expected, disk = VERBS[name], machine.expected(name, here), mount_disk("16m")
    here = disk / "here"
    for pages in range(0, 2000, verb.pages):
        before = prepare(verb, here, expected, machine.inputs)
        (disk / "mine.txt").write_text("years of work")
        status = os.statvfs(disk)
        size = (status.f_blocks - status.f_bfree + pages) * status.f_bsize
        subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
        code, err = machine.call(verb, here, err=here.parents[1] / "err")
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        check_lines(code, err, (0, 1, 4))
        found = tree(here, verb)
        check_whole(found, before, expected)
        assert [name for name in found if is_temporary(name) and "unfinished" not in name] == []
        assert (disk / "mine.txt").read_text() == "years of work"
        if code == 0:
            assert found == expected
            break
        assert "No space left on device" in err
        if not verb.heavy:
            check_again(machine, name, here, expected)
    assert pages


@matrix
def test_a_system_without_shared_memory(machine: Machine, name: str, here: Path) -> None:
    verb, expected = VERBS[name], machine.expected(name, here)
    before = prepare(verb, here, expected, machine.inputs)
    code, err = machine.call(verb, here, "no shared memory")
    if code == CANNOT:
        pytest.skip("this process may not change what is mounted")
    if name == "reconstruct, workers":  # as many as asked for, or nothing
        assert code == 4
        assert err == "vaegen: cannot start 2 worker processes (Read-only file system); --workers 1 starts none\n"
        assert tree(here, verb) == before
    else:
        check_lines(code, err, (0,))
        assert tree(here, verb) == expected


@matrix
def test_little_memory(name: str, inputs: Path, here: Path) -> None:
    verb = VERBS[name]
    if "{inputs}/run" in verb.command:
        pytest.skip("it needs a run, and without memory it does not even see that there is none")
    before = prepare(verb, here, {}, inputs)
    command = [sys.executable, "-m", "vaegen_cli", *words(verb, inputs)]
    limited = ["sh", "-c", f'ulimit -v {MEMORY}; exec "$@"', "sh", *command]
    done = subprocess.run(limited, cwd=here, capture_output=True, text=True, check=False, timeout=SECONDS)
    check_lines(done.returncode, done.stderr, (0, 4))
    if done.returncode:
        assert tree(here, verb) == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_descriptors_that_a_shell_closed(here: Path, closed: str) -> None:
    here.mkdir()
    command = [sys.executable, "-m", "vaegen_cli", *words(VERBS["sample, new"], here)]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command], cwd=here, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in here.iterdir()] == ["a.png"]


@matrix
def test_few_descriptors(machine: Machine, name: str, here: Path) -> None:
    verb, expected = VERBS[name], machine.expected(name, here)
    prepare(verb, here, expected, machine.inputs)
    code, err = machine.call(verb, here, "descriptors")
    check_lines(code, err, (0,))
    assert tree(here, verb) == expected
