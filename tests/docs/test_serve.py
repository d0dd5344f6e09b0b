"""docs/serve.md names what there is, and its program runs."""

import importlib.util
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import click
import pytest
from vaegen_cli.serve import serve

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(importlib.util.find_spec("starlette") is None, reason="needs the extra 'serve'")


def test_the_page_names_every_option_and_no_other() -> None:
    flags = {flag for option in serve.params if isinstance(option, click.Option) for flag in option.opts}
    foreign = {"--data-binary"}
    named = set(re.findall(r"--[a-z][a-z-]*", PAGE)) - foreign
    assert named <= flags
    assert flags - named == {"--verbose", "--quiet", "--debug"} | {flag for flag in flags if flag[1] != "-"}


def test_the_page_names_every_endpoint_parameter_and_error() -> None:
    import vaegen
    from vaegen.server import Limits
    from vaegen.server.endpoints import Endpoints
    from vaegen.server.refusals import STATUSES
    from vaegen.server.workers import Workers

    with vaegen.load("joint") as model:
        table = Endpoints({"joint": model}, Limits(), Workers(Limits())).table
    rows = dict(re.findall(r"^\| `((?:GET|POST) /\S*)` \|(.*)\|[^|]*\|$", PAGE, re.MULTILINE))
    assert set(rows) == {f"{endpoint.method} {endpoint.path}" for endpoint in table}
    for endpoint in table:
        words = set(re.findall(r"\w+", rows[f"{endpoint.method} {endpoint.path}"]))
        assert {parameter.name for parameter in endpoint.parameters} - {"model", "format"} <= words
    errors = re.findall(r"^\| ([45]\d\d(?:, \d+)*) \| (.*?) \|", PAGE, re.MULTILINE)
    told = {(int(code), kind) for codes, kinds in errors for code in codes.split(", ") for kind in kinds.split(", ")}
    assert {(status.code, f"`{kind}`") for kind, status in STATUSES.items()} <= told


def test_the_program_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "uvicorn", "program:application", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            port = next(found[1] for line in lines if (found := re.search(r"running on http://[^:]+:(\d+)", line)))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/digits/sample?digit=3&model=discrete") as answer:
                assert answer.read(4) == b"\x89PNG"
        finally:
            process.terminate()
