"""A configuration as TOML, each setting with what it takes and means: `--show` writes it, `--config` reads it.

The meanings are the strings below the fields of `vaegen_training.config`.
"""

import ast
import inspect
import json
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vaegen.errors import ConfigError, quoted
from vaegen.spec import KINDS

from vaegen_training.config import TrainConfig, kind_of, sections
from vaegen_training.presets import ABOUT
from vaegen_training.ranges import Settings, check, kinds, takes

# In the order of the stages.
SECTIONS = (
    *("model", "objective", "vae", "sharpen", "sharpen_stage"),
    *("prior", "flow_stage", "prior_stage", "verifier_stage"),
)
ALONE = ("seed", "classes")  # settings outside the sections
_COLUMNS = 110  # of a comment


class Given(NamedTuple):
    """What a file asks for."""

    kind: str | None
    preset: str | None
    settings: Mapping[str, Any]
    """`{"vae.epochs": 2}`, as `TrainConfig.override` takes them."""


def meanings(section: type) -> dict[str, str]:
    """Return the string below each field of a section, in one line."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def purpose(section: str) -> str:
    """Return what a section is about, in one line."""
    kind = sections()[section]
    return meanings(TrainConfig).get(section) or " ".join(kind.__doc__.split())


def to_toml(config: TrainConfig) -> str:
    """Return a file from which `--config` makes this configuration."""
    lines = [
        "# All settings of a run. `vaegen train --config FILE` takes this file, or one that holds only some of them:",
        "# the preset has the others. --set comes last.",
        f"kind = {_value(config.model.latent.kind)}",
        f"preset = {_value(config.preset)}",
    ]
    lines += _settings(config, ALONE)
    for section in SECTIONS:
        values = getattr(config, section)
        lines += ["", "", *_comment(purpose(section)), f"[{section}]", *_settings(values, kinds(type(values)))]
    return "\n".join(lines) + "\n"


def read(path: Path) -> Given:
    """Read a file of settings: all of them or some.

    Raises:
        ConfigError: It is no TOML, or holds a setting that there is not, or a value that a setting does not take.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no TOML: {error}; vaegen train joint --show prints a file that is") from error
    kind, preset = data.pop("kind", None), data.pop("preset", None)
    for name, value, choices in (("kind", kind, KINDS), ("preset", preset, tuple(ABOUT))):
        if value is not None and value not in choices:
            raise ConfigError(f"{path}: {name} is {quoted(value)}; choose from {', '.join(choices)}")
    flat: dict[str, Any] = {}
    for section, value in data.items():
        inside = value.items() if isinstance(value, dict) else [("", value)]
        flat |= {f"{section}.{name}".rstrip("."): each for name, each in inside}
    try:
        for name, value in flat.items():
            check(name, tuple(value) if isinstance(value, list) else value, kind_of(name))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return Given(kind, preset, flat)


def _settings(values: Settings, names: Iterable[str]) -> list[str]:
    told, types = meanings(type(values)), kinds(type(values))
    lines = []
    for name in names:
        lines += [*_comment(told[name]), f"{name} = {_value(getattr(values, name))}  # {takes(types[name])}"]
    return lines


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _COLUMNS, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _value(value: object) -> str:
    """Return a value as TOML has it; of what a setting may be, JSON writes all the same."""
    return json.dumps(value, ensure_ascii=False)
