"""vaegen inside other programs: what it leaves as it was, and what it does with what it is lent."""

import copy
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import vaegen
from vaegen import IntegrityError, RequestError
from vaegen.bundle import SHIPPED
from vaegen.model import load_again

# By these onnxruntime is told that it runs in a test, where it has no telemetry to turn off.
_TOLD = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS"}


def program(code: str, *arguments: object, home: Path, **variables: str) -> str:
    """Run a program in an interpreter of its own, beside a home folder of its own; return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in _TOLD} | variables
    environment |= {name: str(home) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA")}
    environment["XDG_CACHE_HOME"] = str(home / "cache")
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", "import os, sys\n" + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=home.parent,
        timeout=60,  # a child that does not end is what some of these tests are about
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


FOLDER = """
import pathlib, vaegen
from PIL import Image
from vaegen.verification import verify
pathlib.Path("source").mkdir()
for name in ("a.png", "b.png"):
    Image.new("RGB", (28, 28)).save("source/" + name)
vaegen.reconstruct_folder(vaegen.load(sys.argv[1]), "source", "target", workers=2)
assert not verify(sys.argv[1]).problems
"""
USES = {
    "library": "import vaegen\nvaegen.load(sys.argv[1]).sample(3, 'red')",
    "options": "from vaegen.session import default_options\ndefault_options(1)",
    "workers": FOLDER,
    "command": "import vaegen_cli\nvaegen_cli.main(['sample', '--digit', '3', '--color', 'red'])",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_onnxruntime_leaves_nothing_at_home(tiny: Path, tmp_path: Path, use: str) -> None:
    program(use, tiny, home=tmp_path / "home")
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("value", ["0", "", "yes"])
def test_a_setting_of_the_user_s_own_stands(tiny: Path, tmp_path: Path, value: str) -> None:
    code = "import vaegen\nvaegen.load(sys.argv[1]).sample(3, 'red')\nprint(repr(os.environ['ORT_DISABLE_TELEMETRY']))"
    assert program(code, tiny, home=tmp_path / "home", ORT_DISABLE_TELEMETRY=value) == f"{value!r}\n"


FORKED = """
import gc, multiprocessing, signal, vaegen
model = vaegen.load(sys.argv[1], threads=int(sys.argv[2]))
expected = model.sample(3, "red", 300).tobytes()

def use():
    assert model.sample(3, "red", 300).tobytes() == expected

def close():
    model.close()

def drop():
    global model
    del model
    gc.collect()

def give_birth():
    child = os.fork()
    use()
    if child:
        assert os.waitpid(child, 0)[1] == 0

def serve():  # as a worker of gunicorn: ended by a signal that becomes SystemExit
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    use()
    os.kill(os.getpid(), signal.SIGTERM)

for work in (lambda: None, use, close, drop, give_birth, serve):
    child = os.fork()
    if child == 0:
        work()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0, work
context = multiprocessing.get_context("fork")
for daemon in (False, True):
    process = context.Process(target=use, daemon=daemon)
    process.start()
    process.join()
    assert process.exitcode == 0
use()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_child_ends(tiny: Path, tmp_path: Path, threads: int) -> None:
    # Python 3.12 and later warn of any fork of a program with threads, which the second case has.
    program(FORKED, tiny, threads, home=tmp_path / "home", PYTHONWARNINGS="ignore::DeprecationWarning")


STATE = """
import gc, locale, logging, random, signal, socket, threading, warnings
import numpy as np
from PIL import Image, ImageFile

def state():
    umask = os.umask(0)
    os.umask(umask)
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    loggers = [(one.level, one.handlers[:], one.filters[:]) for one in (logging.root, logging.getLogger("vaegen"))]
    streams = sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook
    numbers = np.geterr(), repr(np.random.get_state()), random.getstate(), np.get_printoptions()
    python = gc.isenabled(), gc.get_threshold(), sys.getswitchinterval(), sys.getrecursionlimit(), sys.path[:]
    threads = threading.active_count(), socket.getdefaulttimeout(), locale.setlocale(locale.LC_ALL)
    pillow = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK
    return [dict(os.environ), warnings.filters[:], umask, os.getcwd(), handlers, loggers, streams, numbers, python,
            threads, pillow]

before = state()
"""


def test_the_state_of_the_process_stays_as_it_was(tiny: Path, tmp_path: Path) -> None:
    """All in one program: load, every call, pictures in files, worker processes and a trial run."""
    code = f"""
{STATE}
{FOLDER}
import pickle, vaegen
with pickle.loads(pickle.dumps(vaegen.load(sys.argv[1], threads=2))) as model:
    images = model.sample(range(10), "teal", seed=1)
    model.decode(model.encode(images).astype(np.float16))
    model.reconstruct(images, True), model.judge(images), model.posterior(vaegen.read_image("target/a.png")[None])
for call in (lambda: vaegen.load(sys.argv[1]).sample(3, "rde"), lambda: vaegen.read_image("none.png")):
    try:
        call()
    except vaegen.VaegenError:
        pass
assert state() == before, [pair for pair in zip(before, state()) if pair[0] != pair[1]]
"""
    program(code, tiny, home=tmp_path / "home")


MEMORY = """
import re, vaegen
import numpy as np

def peak_over(call):
    with open("/proc/self/clear_refs", "w") as file:  # the peak becomes what is in use now
        file.write("5")
    before = read("VmRSS")
    size = call().nbytes
    return (read("VmHWM") - before) * 1024 / size

def read(name):
    with open("/proc/self/status") as file:
        return int(re.search(name + r":\\s*(\\d+)", file.read())[1])

digits = np.arange(14500) % 10  # 34.1 MB of images; what is below 32 MiB can come from what was freed before
model = vaegen.load(sys.argv[1])
model.sample(digits[:300], "teal")
print(peak_over(lambda: model.sample(digits, "teal")))
model = vaegen.load("discrete")  # its latents are larger than its images
few = model.sample(digits[:300], "teal", tries=1)
model.reconstruct(few, True)
images = np.repeat(few, 50, axis=0)[:14500]
print(peak_over(lambda: model.reconstruct(images, True)))
latents = model.encode(images).astype(np.float16)
print(peak_over(lambda: model.decode(latents)))
"""


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory can only be set on Linux"
)
def test_the_memory_of_a_call_grows_by_its_result(tiny: Path, tmp_path: Path) -> None:
    ratios = [float(number) for number in program(MEMORY, tiny, home=tmp_path / "home").split()]
    assert len(ratios) == 3
    assert min(ratios) > 0.9
    assert max(ratios) <= 1.5, ratios


def test_a_relative_path_holds_wherever_the_program_goes(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    model = vaegen.load(bundle.name)
    monkeypatch.chdir("elsewhere")
    expected = model.sample(3, "red").tobytes()
    assert pickle.loads(pickle.dumps(model)).sample(3, "red").tobytes() == expected
    assert model.path == bundle


def test_a_pickle_of_a_shipped_model_holds_no_path(bundle: Path) -> None:
    model = vaegen.load("joint", threads=2)
    data = pickle.dumps(model)
    assert os.fsencode(SHIPPED) not in data
    for same in (pickle.loads(data), copy.copy(model), copy.deepcopy(model)):
        assert (same.path, same.manifest, same._sessions.threads) == (model.path, model.manifest, 2)
    with pytest.raises(IntegrityError, match="another bundle"):
        load_again("joint", vaegen.load(bundle).manifest.digests)
    data = pickle.dumps(vaegen.load(bundle))
    shutil.rmtree(bundle)
    with pytest.raises(vaegen.BundleError, match="no such folder"):
        pickle.loads(data)


def test_session_options_do_not_travel(tiny: Path) -> None:
    model = vaegen.load(tiny, session_options=onnxruntime.SessionOptions())
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(RequestError, match="session_options"):
            call(model)


@pytest.mark.skipif(importlib.util.find_spec("PyInstaller") is None, reason="PyInstaller is not installed")
def test_a_frozen_program_has_models_and_verbs(tmp_path: Path) -> None:
    (tmp_path / "digit.py").write_text("import vaegen_cli\nvaegen_cli.run()\n")
    freeze = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", "--exclude-module", "torch", "digit.py"]
    subprocess.run(freeze, cwd=tmp_path, capture_output=True, check=True)
    command = [str(tmp_path / "dist" / "digit" / "digit"), "sample", "--digit", "3", "--color", "red"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "red-3.png\n", "")


def test_python_m_vaegen_is_the_command(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "vaegen", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"vaegen {vaegen.__version__}\n", "")
    done = subprocess.run([sys.executable, "-m", "vaegen", "smaple"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vaegen: No such command 'smaple'")
