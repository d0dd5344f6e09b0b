"""README, CHANGELOG and the package say the same, and links lead somewhere; tests/docs runs the examples."""

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


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_is_shown_and_has_two_examples(verb: str) -> None:
    assert f"vaegen {verb}" in README
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0
    assert len(re.findall(rf"^\s+vaegen {verb}\b", result.output, re.MULTILINE)) >= 2


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https:"):
            assert page.parent.joinpath(target).exists(), target
