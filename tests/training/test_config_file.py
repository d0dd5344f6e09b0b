"""What `--show` prints is what `--config` takes, whole or in part; what is wrong in a file is named with the file."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from vaegen.errors import ConfigError
from vaegen.spec import Kind
from vaegen_training.config import sections
from vaegen_training.config_file import SECTIONS, read, to_toml
from vaegen_training.presets import PRESETS

CLASSES = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    'A "coat"',
    "Sandale à clé",
    "Shirt \\ blouse",
    "Sneaker",
    "鞄",
    "Boot",
)


def test_no_torch_is_needed() -> None:
    program = "import sys, vaegen_training, vaegen_training.config_file; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("preset", "kind"), PRESETS)
def test_what_is_shown_gives_the_configuration_back(preset: str, kind: Kind, tmp_path: Path) -> None:
    changes = {"vae.learning_rate": 1e-5, "vae.schedule": "constant", "vae.batch": 64, "classes": CLASSES, "seed": 7}
    for config in (PRESETS[preset, kind], PRESETS[preset, kind].override(changes)):
        path = tmp_path / "a.toml"
        path.write_text(to_toml(config), "utf-8")
        given = read(path)
        assert (given.kind, given.preset) == (kind, preset)
        assert PRESETS[preset, kind].override(given.settings) == config


def test_each_setting_stands_with_its_range_below_its_meaning() -> None:
    text = to_toml(PRESETS["default", "joint"])
    assert set(SECTIONS) == sections().keys()
    assert "\n# Images per step.\nbatch = 256  # a whole number from 1 to 60000\n" in text
    lines = text.splitlines()
    for above, line in itertools.pairwise(lines):
        if " = " in line and line.split()[0] not in ("kind", "preset"):
            assert above.startswith("# ")
            assert "  # " in line


def test_a_file_may_hold_some_settings(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 3\r\n[vae]\r\nepochs = 5\r\n")  # as a Windows editor writes it
    assert read(path) == (None, None, {"seed": 3, "vae.epochs": 5})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[vae]\nepoch = 5", "unknown setting 'vae.epoch' (did you mean epochs?)"),
        ("[vea]\nepochs = 5", "unknown setting 'vea.epochs' (did you mean vae.epochs"),
        ("epochs = 5", "unknown setting 'epochs'"),
        ("vae = 5", "unknown setting 'vae'"),
        ("[vae]\nepochs = '5'", "vae.epochs is '5'; it must be a number over 0 and at most 1000000"),
        ("[vae]\nbatch = 2.5", "vae.batch is 2.5; it must be a whole number from 1 to 60000"),
        ("[vae]\nbatch = 2026-11-26", "vae.batch is datetime.date(2026, 11, 26); it must be a whole number"),
        ("[vae]\nepochs = nan", "vae.epochs is nan"),
        ("[vae]\nschedule = ['cosine']", "vae.schedule is ('cosine',); it must be constant or cosine"),
        ("classes = 'a,b'", "classes is 'a,b'; it must be ten different names"),
        ("seed = -1", "seed is -1; it must be a whole number from 0"),
        ("kind = 'jiont'", "kind is 'jiont'; choose from continuous, discrete, joint"),
        ("preset = 3", "preset is 3; choose from default, seed"),
        ("[vae\nepochs = 5", "is no TOML: "),
        ("x = " + "[" * 9999, "is no TOML: "),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read: "):
            read(path)
