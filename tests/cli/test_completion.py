"""The completion scripts, in the shells themselves."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import vaegen
from vaegen.color import parse_color
from vaegen_cli.options import complete_colors, complete_digits

Run = Callable[..., Any]
Complete = Callable[..., list[str]]

# compopt works only while the user is typing.
BASH = """
compopt() {{ :; }}
. ./script
COMP_WORDS=(vaegen {words}) COMP_CWORD={last}
_vaegen_completion vaegen
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# zsh completes only at a prompt, so its own functions for offering choices are replaced by ones that print them.
ZSH = """
compdef() {{ : }}
_describe() {{ print -l -- ${{completions_with_descriptions%%:*}} }}
compadd() {{ print -l -- $completions }}
_path_files() {{ print -l -- $PREFIX*(N) }}
. ./script
words=(vaegen {words}) CURRENT=$(({last} + 1))
_vaegen_completion || true
"""
FISH = """
source ./script
complete -C {line}
"""


@pytest.fixture
def prepare(run: Run, here: Path) -> Callable[[str], dict[str, str]]:
    """Make the script of a shell and a program called vaegen; gives the environment in which it is found."""

    def call(shell: str) -> dict[str, str]:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        (here / "script").write_text(run("completion", shell).out)
        program = here / "bin" / "vaegen"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vaegen_cli "$@"\n')
        program.chmod(0o755)
        return os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(here)}

    return call


@pytest.fixture
def complete(prepare: Callable[[str], dict[str, str]], here: Path) -> Complete:
    """Complete a line in a real shell; gives the choices."""

    def call(shell: str, *words: str) -> list[str]:
        environment = prepare(shell)
        last = len(words)
        template = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell]
        code = template.format(words=shlex.join(words), last=last, line=shlex.quote(" ".join(["vaegen", *words])))
        done = subprocess.run(
            [shell, "-c", code], cwd=here, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr == ""
        return [line.split("\t")[0] for line in done.stdout.split("\n") if line]

    return call


@pytest.mark.skipif(os.name != "posix", reason="shells of POSIX")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_verbs_options_choices_and_models(complete: Complete, shell: str) -> None:
    assert complete(shell, "rec") == ["reconstruct"]
    assert complete(shell, "sample", "--temp") == ["--temperature"]
    assert sorted(complete(shell, "completion", "")) == ["bash", "fish", "zsh"]
    assert set(vaegen.models()) <= set(complete(shell, "sample", "--model", ""))


@pytest.mark.skipif(os.name != "posix", reason="shells of POSIX")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_colors_digits_and_settings(complete: Complete, shell: str) -> None:
    assert complete(shell, "sample", "--color", "gol") == ["gold", "goldenrod"]
    assert complete(shell, "sample", "--color", "red,tea") == ["red,teal"]
    assert complete(shell, "sample", "--digit", "3,7") == ["3,7"]
    assert complete(shell, "train", "joint", "--set", "prior.guid") == ["prior.guidance="]
    assert set(vaegen.models()) <= set(complete(shell, "info", ""))


def test_what_completes_can_be_asked_for() -> None:
    context, parameter = click.Context(click.Command("sample")), click.Option(["--color"])
    colors = [item.value for item in complete_colors(context, parameter, "")]
    assert len(colors) > 100
    assert all(parse_color(color) for color in colors)
    assert [item.value for item in complete_digits(context, parameter, "")] == ["0-9", *"0123456789"]


def test_presets_complete_where_torch_is_not_installed() -> None:
    words = {"COMP_WORDS": "vaegen train joint --preset ", "COMP_CWORD": "4", "_VAEGEN_COMPLETE": "bash_complete"}
    hidden = "import sys; sys.modules['torch'] = None; from vaegen_cli import main; main([])"
    done = subprocess.run(
        [sys.executable, "-c", hidden], env=os.environ | words, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert {"plain,default", "plain,seed"} <= {*done.stdout.split()}


# What a person would set up, and nothing else that this machine may have.
INTERACTIVE = {
    "bash": (["--norc", "--noprofile", "-i"], "bind 'set bell-style none'; . ./script"),
    "zsh": (["-f", "-i"], "unsetopt beep; autoload -U compinit; compinit -u; . ./script"),
}


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_typing_at_a_prompt(prepare: Callable[[str], dict[str, str]], here: Path, shell: str) -> None:
    pexpect = pytest.importorskip("pexpect")
    environment = prepare(shell) | {"TERM": "xterm", "EDITOR": "", "VISUAL": ""}
    flags, setup = INTERACTIVE[shell]
    (here / "digits").mkdir()
    (here / "digits" / "red.png").write_bytes(b"")
    terminal = pexpect.spawn(shell, flags, cwd=str(here), env=environment, encoding="utf-8", timeout=60)
    try:
        terminal.sendline(f"{setup}; echo all''set")
        terminal.expect("allset\r\n")
        # Each word is begun, and a tab completes it; bash writes what was missing, zsh the word again.
        for typed, missing in (
            ("vaegen sam", "ple"),
            ("--colo", "r"),
            ("red --digit 3 --mode", "l"),
            ("disc", "rete"),
            ("-o dig", "its"),
        ):
            terminal.send(f"{typed}\t")
            terminal.expect_exact(missing)
        # "echo" goes before the line, and shows what came of it.
        terminal.send("\x01echo \r")
        terminal.expect(r"[\r\n]vaegen sample --color red --digit 3 --model discrete -o digits/?\r?\n")
    finally:
        terminal.close(force=True)


def test_scripts_are_clean_text(run: Run) -> None:
    for shell in ("bash", "zsh", "fish"):
        result = run("completion", shell)
        assert result.code == 0
        assert "_VAEGEN_COMPLETE" in result.out
    assert run("completion", "tcsh").code == 2
