"""Walks go from one accepted digit to another, through digits that the judge reads and colors that lie between."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import vaegen
from vaegen import moves, walk
from vaegen.color import parse_color
from vaegen.moves import clear, read_ends

TINY = Path(__file__).parents[1] / "assets" / "tiny"


@pytest.fixture(params=["continuous", "discrete", "joint"])
def model(request: pytest.FixtureRequest) -> vaegen.Model:
    if request.param not in vaegen.models():
        pytest.skip(f"this installation ships no model {request.param!r}")
    return vaegen.load(request.param)


def test_a_walk_begins_and_ends_as_asked_and_is_legible_between(model: vaegen.Model) -> None:
    unclear = 0
    for digits in ([3, 8], [0, 1], [7, 2], [4, 4]):
        draw = walk(model, digits, ["red", "blue"], 24, seed=5)
        assert (draw.images == model.decode(draw.latents)).all()
        assert draw.accepted is not None
        assert draw.accepted[[0, -1]].all()
        assert draw.digits[[0, -1]].tolist() == digits
        assert set(draw.digits.tolist()) <= set(digits)
        assert draw.colors[[0, -1]].tolist() == [[255, 0, 0], [0, 0, 255]]
        unclear += int((~clear(draw, model.spec)).sum())
    assert unclear <= 14  # of 96; 18 to 29 between the first two draws


def test_hues_go_the_shorter_way_around_and_grays_have_none(model: vaegen.Model) -> None:
    for ends, passes in (
        (["#ff0080", "#ff8000"], "red"),  # over 0, where hues begin again
        (["red", "teal"], "#5fbf00"),  # half a turn, the same way for what is drawn as for what is told
        (["white", "#808000"], "#bfbf60"),  # no red on the way to yellow, though a gray's hue counts as 0
    ):
        draw = walk(model, 0, ends, 9, thickness=4)
        assert draw.colors[4].tolist() == pytest.approx(parse_color(passes), abs=1)
        assert draw.reached is not None
        assert draw.reached.all(), draw.color_error


def test_a_walk_is_a_function_of_what_is_asked_for(model: vaegen.Model) -> None:
    first = walk(model, [1, 4], "gold", 6, seed=9, start=3)
    assert (walk(model, [1, 4], "gold", 6, seed=9, start=3).images == first.images).all()
    ends = walk(model, [1, 4], "gold", 2, seed=9, start=3)
    assert len(ends) == 2
    for other in ({"seed": 8}, {"start": 4}, {"hand": 1}, {"slant": 20.0}, {"temperature": 0.5}):
        assert (walk(model, [1, 4], "gold", 6, **{"seed": 9, "start": 3} | other).images != first.images).any()
    unchecked = walk(model, [1, 4], "gold", 5, seed=9, start=3, tries=1)
    assert unchecked.accepted is None
    assert (unchecked.images[[0, -1]] == model.sample([1, 4], "gold", seed=9, start=3, tries=1)).all()


def test_the_way_is_that_of_the_explorer(model: vaegen.Model) -> None:
    if (node := shutil.which("node")) is None:
        pytest.skip("the explorer's code needs Node")
    shares = np.linspace(0, 1, 5)
    drawn = model.draw([2, 9], ["red", "#80ff00"], seed=1)
    ours = moves._between(model._graphs, model.spec, drawn.latents[None], drawn.colors, shares)
    web = Path(vaegen.__file__).parent / "web"
    program = f"""
import {{ blender, partsOf }} from "{web}/page/moves.js";
import {{ load }} from "{web}/index.js";
const {{ bundle, ends, shares }} = JSON.parse(process.argv[1]);
const spec = (await load(bundle)).manifest.model;
const at = blender(ends, spec);
const plain = partsOf(spec).filter((part) => part.width === 1 || part.role === "shape" || part.role === "digit");
console.log(JSON.stringify([plain, shares.map((share) => Array.from(at([1 - share, share])))]));
"""
    task = json.dumps({"bundle": str(model.path), "ends": drawn.latents.tolist(), "shares": shares.tolist()})
    done = subprocess.run(
        [node, "--input-type=module", "-e", program, task], capture_output=True, text=True, check=True
    )
    parts, theirs = json.loads(done.stdout)
    places = [place for part in parts for place in range(part["at"], part["at"] + part["width"])]
    # Hues by the saturation of the color asked for, where the explorer has that of the latent.
    np.testing.assert_allclose(ours[:, places], np.array(theirs)[:, places], atol=2e-3)


def test_a_model_that_codes_no_colors_apart_walks_too() -> None:
    with vaegen.load(TINY) as model:
        draw = walk(model, [1, 7], ["#ff4040", "#40ff40"], 5)
        assert draw.accepted is not None
        assert draw.accepted[[0, -1]].all()
        assert draw.digits[[0, -1]].tolist() == [1, 7]


@pytest.mark.parametrize("frames", [0, 1, 241, 2.5, "24"])
def test_frames_are_2_to_240(frames: int) -> None:
    with vaegen.load(TINY) as model, pytest.raises(vaegen.RequestError, match="choose an integer from 2 to 240"):
        walk(model, [1, 7], "red", frames)


@pytest.mark.parametrize(
    ("texts", "colors", "expected"),
    [
        (("3:red", "8:blue"), (), [(3, "red"), (8, "blue")]),
        (("3:hsl(30, 100%, 50%)", "8:255,128,0"), (), [(3, "hsl(30, 100%, 50%)"), (8, "255,128,0")]),
        (("3", "8:blue"), ("gold",), [(3, "gold"), (8, "blue")]),
        (("3", "8"), ("gold,teal",), [(3, "gold"), (8, "teal")]),
        (("0", "0"), ("gold",), [(0, "gold"), (0, "gold")]),
    ],
)
def test_ends_as_people_write_them(
    texts: Sequence[str], colors: Sequence[str], expected: list[tuple[int, str]]
) -> None:
    assert [(end.digit, end.color.text) for end in read_ends(texts, colors, 0, 0)] == expected


def test_the_color_of_an_end_may_be_drawn() -> None:
    first, second = read_ends(("3:red", "8"), (), 7, 2)
    assert first.color.text == "red"
    assert second.color == read_ends(("1", "2"), (), 7, 2)[1].color
    assert second.color != read_ends(("1", "2"), (), 8, 2)[1].color


@pytest.mark.parametrize(
    ("texts", "colors", "message"),
    [
        (("x", "8"), (), "'x' is no end of a walk"),
        (("33", "8"), (), "'33' is no end of a walk"),
        (("", "8"), (), "'' is no end of a walk"),
        (("٣", "8"), (), "is no end of a walk"),
        (("3:", "8"), (), "unknown color ''"),
        (("3:rde", "8"), (), "did you mean red"),
        (("3:red,blue", "8"), (), "unknown color 'red,blue'"),
        (("3", "8"), ("red,gold,teal",), "a walk has 2 ends, and there are 3 colors"),
        (("3:red", "8:blue"), ("gold",), "both ends of the walk have a color of their own; leave out color"),
        (("3", "8"), ("rainbow",), "color 'rainbow' is for text"),
    ],
)
def test_what_is_no_end(texts: Sequence[str], colors: Sequence[str], message: str) -> None:
    with pytest.raises(vaegen.RequestError) as refusal:
        read_ends(texts, colors, 0, 0)
    assert message in str(refusal.value)
