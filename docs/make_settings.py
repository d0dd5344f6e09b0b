"""Write docs/settings.md, every setting of `vaegen train`, from where the code declares them.

    python docs/make_settings.py

tests/docs/test_settings.py holds the page to it.
"""

from collections.abc import Iterable
from pathlib import Path

from vaegen.spec import KINDS
from vaegen_training.config import StageConfig, TrainConfig, sections
from vaegen_training.config_file import ALONE, SECTIONS, meanings, purpose
from vaegen_training.presets import ABOUT, PRESETS
from vaegen_training.ranges import kinds, takes

PAGE = Path(__file__).with_name("settings.md")
HEAD = f"""# Settings

`vaegen train KIND --show` prints all settings of a run with their values, as a file that `vaegen train --config FILE`
takes back, whole or in part; `--set vae.epochs=5` changes one, and comes last. Three values are those of the kinds
{", ".join(KINDS)}. `python docs/make_settings.py` makes this page."""


def page() -> str:
    """Return the text of the page."""
    stages = [section for section in SECTIONS if sections()[section] is StageConfig]
    parts = [HEAD, "## The run", _table(("setting", "takes", "meaning"), _meanings(TrainConfig, ALONE))]
    for section in SECTIONS:
        if section not in stages:
            kind = sections()[section]
            names = list(kinds(kind))
            rows = [
                (name, *(_values(preset, section, setting) for preset in ABOUT), allowed, meaning)
                for setting, (name, allowed, meaning) in zip(names, _meanings(kind, names), strict=True)
            ]
            parts += [f"## `{section}`", purpose(section), _table(("setting", *ABOUT, "takes", "meaning"), rows)]
    names = list(kinds(StageConfig))
    parts += ["## The stages", "\n".join(f"- `{stage}`: {_lower(purpose(stage))}" for stage in stages)]
    parts += [_table(("setting", "takes", "meaning"), _meanings(StageConfig, names))]
    for preset in ABOUT:
        rows = [(f"`{name}`", *(_values(preset, stage, name) for stage in stages)) for name in names]
        parts += [f"In the preset `{preset}`:", _table(("setting", *stages), rows)]
    return "\n\n".join(parts) + "\n"


def _meanings(section: type, names: Iterable[str]) -> list[tuple[str, ...]]:
    told, types = meanings(section), kinds(section)
    return [(f"`{name}`", takes(types[name]), told[name]) for name in names]


def _values(preset: str, section: str, name: str) -> str:
    """Return a setting's values in a preset: one, or those of the three kinds."""
    values = [f"{value:g}" if isinstance(value, float) else str(value) for value in (
        getattr(getattr(PRESETS[preset, kind], section), name) for kind in KINDS
    )]  # fmt: skip
    return values[0] if len(set(values)) == 1 else ", ".join(values)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
