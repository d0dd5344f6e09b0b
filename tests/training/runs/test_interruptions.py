"""Ctrl-C, SIGTERM and SIGHUP at any moment of a run: what is saved, what is said, and how the run goes on."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vaegen_cli import main
from vaegen_training import data
from vaegen_training.config import StageConfig
from vaegen_training.models import judge, weights
from vaegen_training.models.critic import SharpenObjective
from vaegen_training.models.objective import VaeObjective
from vaegen_training.prior import GeneratorObjective, acceptance
from vaegen_training.runs import loop, stages
from vaegen_training.runs.previews import Previews

SETTINGS = {
    "model.hidden": "16",
    "vae.epochs": "1",
    "vae.batch": "50",
    "vae.ema": "0.9",
    "flow_stage.epochs": "0.5",
    "flow_stage.batch": "50",
    "prior.hidden": "16",
    "prior.field_hidden": "16",
    "prior.examples": "500",
    "prior_stage.epochs": "0.5",
    "prior_stage.batch": "50",
    "sharpen_stage.epochs": "0.25",
    "sharpen_stage.batch": "50",
    "verifier_stage.epochs": "0.25",
    "verifier_stage.batch": "50",
}
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def command(out: Path, digits: Path, kind: str = "joint") -> list[str]:
    pairs = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    start = ["train", kind, "--data-dir", str(digits), "--no-verify", "--device", "cpu", "--out", str(out), "-q"]
    return start if kind == "judge" else start + pairs


@pytest.fixture(autouse=True)
def few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of metrics every 2 steps or so, no more checkpoints than asked for, and one epoch for the judge."""
    monkeypatch.setattr(loop, "LOGS", 8)
    monkeypatch.setattr(loop, "PREVIEWS", 2)
    monkeypatch.setattr(acceptance, "_LEVELLED", 20)
    monkeypatch.setattr(judge, "JUDGE_STAGE", StageConfig(epochs=1, batch=50, learning_rate=1e-3, ema=0.9))


@pytest.fixture(autouse=True)
def hears_all() -> Iterator[None]:
    """Undo what nohup does, under which the tests may run: a run leaves ignored signals ignored."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in SIGNALS if signal.getsignal(each) is signal.SIG_IGN}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, digits_dir: Path) -> dict[str, dict[str, bytes]]:
    """The weights of undisturbed runs, by their kinds and files."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        few_lines.__wrapped__(patch)  # type: ignore[attr-defined]
        for kind in ("joint", "judge"):
            out = tmp_path_factory.mktemp("straight") / kind
            assert main(command(out, digits_dir, kind)) == 0
            found[kind] = {path.name: path.read_bytes() for path in out.glob("*.safetensors")}
    return found


def at_call(number: int, call: int, times: int = 1) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap a function: at one of its calls the signal comes, perhaps more than once."""
    calls = 0

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call:
                for _ in range(times):
                    signal.raise_signal(number)
            return function(*arguments, **options)

        return wrapped

    return wrap


# Where the signal comes: in which call of what, how often, and from which step of which stage the run then goes on.
MOMENTS: dict[str, tuple[Any, str, int, int, str]] = {
    "the data load": (data, "load", 1, 1, ""),
    "between two lines of metrics": (VaeObjective, "__call__", 7, 1, "7 of stage vae"),
    "a second Ctrl-C": (VaeObjective, "__call__", 9, 2, "9 of stage vae"),
    "the last step of a stage": (VaeObjective, "__call__", 20, 1, "20 of stage vae"),
    "a preview": (Previews, "reconstructions", 1, 1, "13 of stage vae"),
    "a checkpoint": (loop, "_save", 1, 3, "20 of stage vae"),
    "between two stages": (stages, "Examples", 1, 1, "5 of stage sharpen"),
    "sharpening": (SharpenObjective, "__call__", 3, 1, "3 of stage sharpen"),
    "the examples": (stages, "distillation_pairs", 1, 1, "10 of stage flow"),
    "the prior": (GeneratorObjective, "__call__", 3, 1, "3 of stage prior"),
    "the model is written": (stages, "losses_on_test", 1, 2, "5 of stage verifier"),
    "the judge": (judge.JudgeObjective, "__call__", 5, 1, "5 of stage judge"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_a_run_so_that_it_goes_on_to_the_same_weights(
    moment: str,
    straight: dict[str, dict[str, bytes]],
    digits_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, name, call, times, step = MOMENTS[moment]
    number = SIGNALS[list(MOMENTS).index(moment) % len(SIGNALS)]
    kind, out = "judge" if moment == "the judge" else "joint", tmp_path / "run"
    handlers = [signal.getsignal(each) for each in SIGNALS]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, at_call(number, call, times)(getattr(place, name)))
        assert main(command(out, digits_dir, kind)) == 128 + number
    assert [signal.getsignal(each) for each in SIGNALS] == handlers
    goes_on = f"goes on from step {step}" if step else "starts anew"
    saved = "" if step else "nothing is saved yet; "
    assert capsys.readouterr() == ("", f"vaegen: interrupted; {saved}the same command {goes_on}\n")
    if step:
        done, stage = re.findall(r"\w+", step)[0], step.split()[-1]
        assert weights.read(out / f"{stage}.checkpoint.safetensors")[1]["step"] == int(done)
    assert main(command(out, digits_dir, kind)) == 0
    assert {path.name: path.read_bytes() for path in out.glob("*.safetensors")} == straight[kind]


def test_a_run_in_another_thread_leaves_signals_alone(digits_dir: Path, tmp_path: Path) -> None:
    codes: list[int] = []
    handlers = [signal.getsignal(each) for each in SIGNALS]
    thread = threading.Thread(target=lambda: codes.append(main(command(tmp_path / "run", digits_dir))))
    thread.start()
    while thread.is_alive():
        assert [signal.getsignal(each) for each in SIGNALS] == handlers
        thread.join(0.01)
    assert codes == [0]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_an_ignored_signal_stays_ignored(digits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        monkeypatch.setattr(VaeObjective, "__call__", at_call(signal.SIGHUP, 3)(VaeObjective.__call__))
        assert main(command(tmp_path / "run", digits_dir)) == 0
    finally:
        signal.signal(signal.SIGHUP, old)
