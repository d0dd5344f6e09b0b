"""The completion scripts, in the shells themselves."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vaegen

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
def complete(run: Run, here: Path, request: pytest.FixtureRequest) -> Complete:
    """Complete a line in a real shell; gives the choices."""

    def call(shell: str, *words: str) -> list[str]:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        (here / "script").write_text(run("completion", shell).out)
        program = here / "bin" / "vaegen"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vaegen_cli "$@"\n')
        program.chmod(0o755)
        last = len(words)
        template = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell]
        code = template.format(words=shlex.join(words), last=last, line=shlex.quote(" ".join(["vaegen", *words])))
        environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(here)}
        done = subprocess.run(
            [shell, "-c", code], cwd=here, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr == ""
        return [line.split("\t")[0] for line in done.stdout.split("\n") if line]

    return call


@pytest.mark.skipif(os.name != "posix", reason="shells of POSIX")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_verbs_options_choices_and_models(complete: Complete, shell: str) -> None:
    assert complete(shell, "re") == ["reconstruct"]
    assert complete(shell, "sample", "--te") == ["--temperature"]
    assert sorted(complete(shell, "completion", "")) == ["bash", "fish", "zsh"]
    assert set(vaegen.models()) <= set(complete(shell, "sample", "--model", ""))


def test_scripts_are_clean_text(run: Run) -> None:
    for shell in ("bash", "zsh", "fish"):
        result = run("completion", shell)
        assert result.code == 0
        assert "_VAEGEN_COMPLETE" in result.out
    assert run("completion", "tcsh").code == 2
