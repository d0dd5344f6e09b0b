"""`vaegen train` and `vaegen export`: nearly all of it is about the extra that they need."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import click
import pytest
import vaegen
from vaegen_cli.train import EXTRA, parse_overrides, train, training_extra
from vaegen_training import presets

LIGHT = ("vaegen", "vaegen_cli", "vaegen_training", "vaegen_export", "click", "numpy", "numpy.libs", "PIL")


@pytest.fixture
def without_extra(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run the command line in an interpreter that has the light dependencies and no site-packages."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in LIGHT:
        spec = importlib.util.find_spec(name.removesuffix(".libs"))
        assert spec is not None
        assert spec.origin is not None
        home = Path(spec.origin).parent
        if name.endswith(".libs"):
            home = home.with_name(name)
        if home.exists():  # numpy.libs is there on Linux only
            (packages / name).symlink_to(home)

    def call(*arguments: object) -> "subprocess.CompletedProcess[str]":
        # -S leaves site-packages away: torch cannot be imported, installed or not.
        command = [sys.executable, "-S", "-P", "-m", "vaegen_cli", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(packages)}
        return subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, text=True, check=False)

    return call


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "joint", "--out", "run"),
        ("train", "judge"),
        ("export", "run", "--out", "bundle"),
        ("evaluate", "joint"),
        ("report", "joint"),
    ],
)
def test_a_missing_extra_is_one_line(
    without_extra: Callable[..., Any], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = without_extra(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"vaegen: {arguments[0]} needs the training extra \((\w+) is not installed\): "
        r"pip install 'vaegen\[train\]'\n",
        done.stderr,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["packages"]


def test_settings_are_shown_and_taken_back_without_the_extra(without_extra: Callable[..., Any], tmp_path: Path) -> None:
    shown = without_extra("train", "discrete", "--preset", "seed", "--set", "vae.epochs=5", "--seed", "3", "--show")
    assert (shown.returncode, shown.stderr) == (0, "")
    (tmp_path / "a.toml").write_text(shown.stdout)
    assert without_extra("train", "--config", "a.toml", "--show").stdout == shown.stdout
    changed = without_extra("train", "--config", "a.toml", "--set", "vae.epochs=6", "--show").stdout
    assert changed == shown.stdout.replace("\nepochs = 5.0 ", "\nepochs = 6.0 ")
    for arguments, message in (
        (["continuous", "--config", "a.toml"], "a.toml is for discrete, not continuous"),
        (["--preset", "default", "--config", "a.toml"], "a.toml is for seed, not default"),
        (["--config", "b.toml"], "b.toml cannot be read: No such file"),
        ([], "no model is named; give continuous, discrete, joint or judge"),
        (["judge"], "the judge has no settings to show"),
        (["joint", "--set", "vae.epochs=-1"], "vae.epochs is -1.0; it must be a number over 0 and at most 1000000"),
        (["joint", "--classes", "a,b"], "2 names, 'a', 'b'; there must be ten different names"),
    ):
        done = without_extra("train", *arguments, "--show")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"vaegen: {message}" if "names" not in message else "vaegen: classes: ")
        assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.toml", "packages"]


def test_the_help_lists_the_presets_and_completion_offers_them(process: Callable[..., Any]) -> None:
    text = process("train", "--help").communicate()[0].decode()
    for name, about in presets.ABOUT.items():
        assert re.search(rf"\n    {name} +{re.escape(about)}: [0-9]+, [0-9]+, [0-9]+ minutes\n", text)
    options, context = {option.name: option for option in train.params}, click.Context(train)
    assert [item.value for item in options["preset"].shell_complete(context, "s")] == ["seed"]
    offered = [item.value for item in options["pairs"].shell_complete(context, "vae.b")]
    assert offered == ["vae.batch=", "vae.beta1=", "vae.beta2="]


def test_debug_shows_which_import_failed(without_extra: Callable[..., Any]) -> None:
    error = without_extra("train", "joint", "--debug").stderr
    assert "ModuleNotFoundError: No module named" in error
    assert error.splitlines()[-1].startswith("vaegen: train needs the training extra")


def test_any_other_missing_module_is_a_bug_and_shows_as_one() -> None:
    with pytest.raises(ModuleNotFoundError), training_extra("train"):
        raise ModuleNotFoundError("No module named 'nosuch'", name="nosuch")
    with pytest.raises(vaegen.MissingExtraError), training_extra("train"):
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")


def test_the_extra_is_the_one_of_the_package() -> None:
    names = {
        match[1].lower().replace("-", "_")
        for line in requires("vaegen") or []
        if (match := re.match(r"([\w-]+).*extra == ['\"]train['\"]", line))
    }
    # onnxscript is written in terms of onnx_ir, which it installs.
    assert names | {"onnx_ir"} == set(EXTRA)


@pytest.mark.parametrize(("pair", "part"), [("epochs", "KEY=VALUE"), ("=5", "KEY=VALUE"), ("", "KEY=VALUE")])
def test_settings_that_are_none(run: Callable[..., Any], here: Path, pair: str, part: str) -> None:
    result = run("train", "joint", "--set", pair)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("vaegen: ")
    assert part in result.err
    assert list(here.iterdir()) == []


def test_settings_are_pairs() -> None:
    assert parse_overrides(["vae.epochs=5", "name = a=b"]) == {"vae.epochs": "5", "name": "a=b"}
    with pytest.raises(vaegen.ConfigError, match="twice"):
        parse_overrides(["seed=1", "seed=2"])


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the training extra")
@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("train", "joint", "--preset", "defualt"), 2, "defualt"),
        (("train", "joint", "--set", "vae.epohcs=5"), 2, "epohcs"),
        (("train", "joint", "--data-dir", "absent", "--device", "cpu", "--out", "run"), 4, "absent"),
        (("export", "absent", "--out", "bundle"), 4, "absent"),
        (("evaluate", "absent"), 2, "absent"),
        (("evaluate", ".", "--n", "5"), 2, "100 to 1000000"),
        (("evaluate", "."), 3, "manifest.json"),
        (("report", "joint", "--data-dir", "absent"), 4, "absent"),
        (("report", ".", "--n", "5"), 2, "100 to 1000000"),
    ],
)
def test_the_libraries_answer(process: Callable[..., Any], arguments: tuple[str, ...], code: int, part: str) -> None:
    """In a process of its own: this suite imports no torch."""
    started = process(*arguments)
    out, err = started.communicate()
    text = err.decode()
    assert (started.returncode, out) == (code, b"")
    assert text.startswith("vaegen: ")
    assert text.count("\n") == 1
    assert part in text
