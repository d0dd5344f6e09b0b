import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import click
import pytest
from vaegen_cli.app import cli

VERBS = sorted(cli.commands)


def load(verb: str) -> click.Command:
    """Return a verb itself; `cli.commands` holds what `vaegen --help` shows of it."""
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    return command


HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "PIL", "starlette", "uvicorn")


def examples(command: click.Command) -> list[str]:
    text = command.get_help(click.Context(command, info_name="vaegen"))
    return re.findall(r"^    (vaegen .+)$", text, flags=re.MULTILINE)


def test_help_and_version_load_no_heavy_package() -> None:
    program = """
import contextlib, io, json, sys
from vaegen_cli import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    codes = [main(arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([codes, sorted(sys.modules), len(out.getvalue())]))
"""
    calls = [["--help"], ["-h"], ["--version"]] + [[verb, flag] for verb in VERBS for flag in ("-h", "--help")]
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(calls)], capture_output=True, check=True, text=True
    )
    codes, modules, written = json.loads(done.stdout)
    assert set(codes) == {0}
    assert written > 5000
    assert not {name.partition(".")[0] for name in modules} & set(HEAVY)


def test_help_loads_no_verb() -> None:
    program = "import sys; from vaegen_cli import main; main(['--help']); main(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    own = {name for name in done.stdout.splitlines()[-1].split() if name.startswith("vaegen")}
    loaded = {"vaegen_cli", "vaegen_cli.app", "vaegen_cli.console", "vaegen_cli.interrupts"}
    assert own == {"vaegen", "vaegen.errors"} | loaded


def test_version_of_the_module_run_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "vaegen_cli", "--version"], capture_output=True, check=True, text=True)
    assert done.stdout == f"vaegen {version('vaegen')}\n"


def test_verbs() -> None:
    assert VERBS == [
        "bench",
        "completion",
        "decode",
        "encode",
        "evaluate",
        "explore",
        "export",
        "info",
        "models",
        "reconstruct",
        "report",
        "sample",
        "serve",
        "sign",
        "train",
        "verify",
    ]


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_of_verbs_says_what_the_verb_says(verb: str) -> None:
    assert load(verb).name == verb
    assert cli.commands[verb].help == load(verb).get_short_help_str(limit=1000)


@pytest.mark.parametrize("verb", VERBS)
def test_help_opens_with_examples_that_parse(verb: str) -> None:
    lines = examples(load(verb))
    assert len(lines) >= 2
    for line in lines:
        program, name, *arguments = shlex.split(line)
        assert (program, name) == ("vaegen", verb)
        # Parsing runs all that happens before the verb itself: unknown flags, digits and colors fail here.
        load(verb).make_context(verb, arguments)


def test_examples_of_the_group_parse() -> None:
    lines = examples(cli)
    assert len(lines) == 2
    for line in lines:
        _, name, *arguments = shlex.split(line)
        load(name).make_context(name, arguments)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_help(verb: str) -> None:
    options = [parameter for parameter in load(verb).params if isinstance(parameter, click.Option)]
    assert {"--verbose", "--quiet", "--debug"} <= {name for option in options for name in option.opts}
    assert [option.name for option in options if not option.help] == []
