"""README, CHANGELOG and the package say the same, and what README shows runs."""

import re
from pathlib import Path

import pytest
import vaegen
from click.testing import CliRunner
from vaegen_cli.app import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_newest_change_is_this_version() -> None:
    newest = re.search(r"^## (\S+) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == vaegen.__version__


def test_the_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert getattr(names["again"], "shape", None) == (16, 28, 28, 3)


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_is_shown_and_has_two_examples(verb: str) -> None:
    assert f"vaegen {verb}" in README
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0
    assert len(re.findall(rf"^\s+vaegen {verb}\b", result.output, re.MULTILINE)) >= 2


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))],
)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        if not target.startswith("https:"):
            assert (ROOT / page).parent.joinpath(target).exists(), target
