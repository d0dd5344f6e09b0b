"""`vaegen report` from end to end, on the hand-made bundle and on short runs."""

import contextlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen_cli import main
from vaegen_training.evaluate import Figure
from vaegen_training.evaluate.table import Form, to_cell
from vaegen_training.gallery import drawings
from vaegen_training.gallery.report import Report, evaluation_tables, report

ALL = {
    "wheel",
    "samples",
    "worst",
    "walks",
    "temperatures",
    "reconstructions",
    "latents",
    "grid",
    "codes",
    "coordinates",
    "classes",
}
ESSENTIAL = {"worst", "reconstructions", "latents", "grid", "codes"}
MODELS = ("default continuous", "default discrete", "seed joint")


def run(*arguments: object) -> int:
    return main(["report", *map(str, arguments)])


def links(page: Path) -> set[str]:
    return set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text()))


@pytest.fixture(scope="module")
def data(digits_dir: Path) -> tuple[object, ...]:
    return ("--data-dir", digits_dir, "--no-verify", "--n", 100)


@pytest.fixture(scope="module")
def made(tiny: Path, digits_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("single") / "report"
    command = f"vaegen report {tiny} --data-dir {digits_dir} --no-verify --n 100 --seed 0 -o {out}"
    return report([tiny], out, command=command, data_dir=digits_dir, n=100, verify_data=False, progress=False)


@pytest.fixture(scope="module")
def single(made: Report) -> Path:
    return made.files[0].parent


@dataclass(frozen=True)
class Compared:
    page: Path
    found: dict[str, Any]


@pytest.fixture(scope="module")
def compared(
    tiny: Path,
    data: tuple[object, ...],
    trained: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Compared:
    """Two shipped models and a run beside the hand-made bundle, twice."""
    page = tmp_path_factory.mktemp("compared") / "seed-report.md"
    models = ("continuous", "discrete", trained("seed", "joint"))
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run(*models, "--reference", tiny, "--reference", tiny, *data, "-o", page, "--json") == 0
    return Compared(page, json.loads(out.getvalue()))


def test_one_model_shows_everything_there_is_to_see(single: Path) -> None:
    page = single / "report.md"
    assert links(page) == {f"{name}.png" for name in ALL} == {path.name for path in single.glob("*.png")}
    for name in ALL:
        with Image.open(single / f"{name}.png") as picture:
            assert min(picture.size) > 100
            assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 20


def test_pictures_show_what_the_model_makes(single: Path, tiny: Path) -> None:
    with vaegen.load(tiny) as model, Image.open(single / "samples.png") as picture:
        wanted = model.sample([digit for digit in range(10) for _ in drawings.SHEET], list(drawings.SHEET) * 10)
        pixels = np.asarray(picture.convert("RGB"))
    for image in wanted[[0, 37, 99]]:
        large = image.repeat(2, axis=0).repeat(2, axis=1)
        places = np.argwhere((pixels == large[0, 0]).all(2)).tolist()
        assert any(np.array_equal(pixels[y : y + len(large), x : x + len(large)], large) for y, x in places)


def test_the_page_has_the_figures_of_evaluate(made: Report) -> None:
    text = made.files[0].read_text()
    (entry,) = made.models.values()
    assert evaluation_tables(entry.evaluation) in text
    assert entry.evaluation.judge[:16] in text


def test_the_command_on_the_page_makes_the_same_page(
    single: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = re.findall(r"```sh\nvaegen (report .+)\n```", (single / "report.md").read_text())
    before = {path.name: path.read_bytes() for path in single.iterdir()}
    assert main(command.split()) == 2  # nothing is overwritten
    assert "--force" in capsys.readouterr().err
    assert main([*command.split(), "--force"]) == 0
    assert {path.name: path.read_bytes() for path in single.iterdir()} == before


def test_several_models_are_shown_side_by_side(compared: Compared) -> None:
    shown = {f"{model.replace(' ', '-')}-{name}.png" for model in MODELS for name in ESSENTIAL}
    shown -= {"default-discrete-grid.png", "default-continuous-codes.png"}
    shown |= {f"handmade-tiny{number}-{name}.png" for number in ("", "-2") for name in ESSENTIAL}
    assert links(compared.page) == {f"seed-report/{name}" for name in shown}
    assert {path.name for path in compared.page.with_suffix("").iterdir()} == shown


def test_rates_and_distortions_are_on_the_page(compared: Compared) -> None:
    text = compared.page.read_text()
    for model in compared.found["models"].values():
        for name in ("kl", "excess_bce", "excess_bce_sampled"):
            assert f"| {to_cell(Figure(**model['information'][name]), Form(1))} |" in text


def test_json_holds_the_files_and_the_figures(compared: Compared) -> None:
    files = [Path(file) for file in compared.found["files"]]
    assert files[0] == compared.page
    assert all(file.is_file() for file in files)
    models = compared.found["models"]
    assert list(models) == [*MODELS, "handmade tiny", "handmade tiny 2"]
    assert models["handmade tiny"] == models["handmade tiny 2"]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("nosuch",), 2, "nosuch"),
        (("{tiny}", "--n", "99"), 2, "100 to 1000000"),
        (("{tiny}", "--seed", "-1"), 2, "seed"),
        (("{tiny}", "--data-dir", "{tiny}"), 4, "train-images"),
        (("{digits}",), 3, "manifest.json"),
    ],
)
def test_what_cannot_be_reported_is_one_line_and_leaves_nothing(
    arguments: tuple[str, ...],
    code: int,
    part: str,
    tiny: Path,
    digits_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [argument.format(tiny=tiny, digits=digits_dir) for argument in arguments]
    extra = [] if "--data-dir" in given else ["--data-dir", digits_dir, "--no-verify"]
    assert run(*given, *extra, "-o", tmp_path / "out") == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert part in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
