"""Draw a digit as a person would photograph or scan it: paper, pen, light, camera and file format."""

import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Digit = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

DIGITS = Path(__file__).parents[1] / "assets" / "digits"
SHEET = 1400  # pixels of the longer side that a scene is drawn with, at most; larger files are enlarged
MARGIN = 0.35  # of the picture, that the paper goes on beyond each side, so that it can be turned

PAPERS: Mapping[str, tuple[int, int, int]] = {
    "white": (250, 250, 248),
    "cream": (246, 236, 212),
    "gray": (204, 205, 206),
    "blue-tinted": (214, 228, 246),
    "yellow": (251, 240, 150),
    "pink": (250, 205, 215),
    "kraft": (190, 152, 112),
    "whiteboard": (238, 242, 245),
    "green board": (42, 88, 66),
    "black board": (40, 41, 44),
}
PENS: Mapping[str, tuple[int, int, int]] = {
    "black": (24, 24, 28),
    "blue": (26, 52, 165),
    "red": (202, 30, 38),
    "green": (18, 125, 60),
    "purple": (112, 40, 150),
    "pencil": (112, 112, 116),
    "chalk": (236, 236, 230),
}
COLORED = ("blue", "red", "green", "purple")
RULES: Mapping[str, tuple[tuple[int, int, int], bool]] = {
    "ruled": ((150, 180, 220), False),
    "squared": ((170, 190, 205), True),
    "ruled in pen color": ((0, 0, 0), False),
}
LIGHTS = ("even", "gradient", "vignette", "soft shadow", "hard shadow", "lamp", "dim", "overexposed", "highlight")
CASTS: Mapping[str, tuple[float, float, float]] = {
    "neutral": (1, 1, 1),
    "warm": (1, 0.9, 0.74),
    "cool": (0.86, 0.95, 1),
}


class Scene(NamedTuple):
    """All that is chosen about one photograph."""

    size: tuple[int, int] = (1000, 750)
    """Width and height of the file."""
    share: float = 0.4
    """Height of the digit over the shorter side."""
    place: tuple[float, float] = (0.5, 0.5)
    """Of the digit's middle, from 0 to 1 over what keeps it inside."""
    paper: str = "white"
    rule: str | None = None
    spacing: float = 0.08
    """Of rules, over the shorter side."""
    pen: str | None = "black"
    """None leaves the sheet blank."""
    width: float = 0.1
    """Of the stroke, over the digit's height; 0 for MNIST's own."""
    light: str = "even"
    cast: str = "neutral"
    turn: float = 0.0
    """Degrees."""
    tilt: float = 0.0
    """Perspective: how much shorter the farther side is."""
    table: bool = False
    """Whether the paper ends inside the picture."""
    noise: float = 3.0
    """Standard deviation, of 255."""
    blur: float = 0.8
    """Standard deviation in pixels, at 1,000 pixels."""
    form: str = "jpg"
    """"jpg", "png", "gray" (8 bits), "scan" (1 bit) or "transparent" (ink on nothing, PNG)."""
    quality: int = 75


def stroke(digit: Digit, height: int, width: float, rng: np.random.Generator) -> Floats:
    """Return the share of ink of each pixel, cropped to the digit: float32 (height, n) in [0, 1]."""
    rows, columns = np.nonzero(digit.max(1) > 60)[0], np.nonzero(digit.max(0) > 60)[0]
    crop = digit[max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]
    fine = 24 * crop.shape[0]  # 24 to a pixel of MNIST's, so that a stroke has an edge
    image = Image.fromarray(crop).resize((24 * crop.shape[1], fine), Image.Resampling.BICUBIC)
    image = image.filter(ImageFilter.GaussianBlur(9))
    mask: Floats = np.asarray(image, np.float32)
    if width:
        # A pen of its own width follows the ridge of MNIST's stroke.
        reach = Image.fromarray(mask.astype(np.uint8)).resize((4 * crop.shape[1], 4 * crop.shape[0]))
        top = np.asarray(reach.filter(ImageFilter.MaxFilter(9)).resize(image.size), np.float32)
        ridge = Image.fromarray(np.where((mask > 0.65 * top) & (mask > 60), 255, 0).astype(np.uint8))
        radius = max(1.0, width * fine / 2 - 12)
        blurred = np.asarray(ridge.filter(ImageFilter.GaussianBlur(radius * 0.8)), np.float32)
        mask = np.clip((blurred - 28) * 8, 0, 255)
    else:
        mask = np.clip((mask - 110) * 6, 0, 255)
    columns_out = max(1, round(height * crop.shape[1] / crop.shape[0]))
    small = Image.fromarray(mask.astype(np.uint8)).resize((columns_out, height), Image.Resampling.BOX)
    share: Floats = np.asarray(small, np.float32) / np.float32(255)
    return share


def photograph(digit: Digit, scene: Scene, seed: int) -> bytes:
    """Return the bytes of an image file that shows a digit.

    Args:
        digit: uint8 (28, 28), light on black.
        scene: What else it shows.
        seed: Of noise, grain and where shadows fall.
    """
    rng = np.random.default_rng(seed)
    scale = min(1.0, SHEET / max(scene.size))
    width, height = max(16, round(scene.size[0] * scale)), max(16, round(scene.size[1] * scale))
    short = min(width, height)
    ink, place = _inked(digit, scene, (width, height), rng)
    if scene.form == "transparent":
        pixels = np.zeros((height, width, 4), np.uint8)
        pixels[..., :3] = PENS[scene.pen or "black"]
        top, left = place
        pixels[top : top + ink.shape[0], left : left + ink.shape[1], 3] = ink * 255
        return _saved(Image.fromarray(pixels), "PNG")
    pad = round(MARGIN * max(width, height))
    sheet = np.empty((height + 2 * pad, width + 2 * pad, 3), np.float32)
    sheet[:] = PAPERS[scene.paper]
    sheet += rng.normal(0, 1.5, sheet.shape[:2]).astype(np.float32)[..., None]
    if scene.rule is not None:
        _rule(sheet, scene, short, rng)
    top, left = place[0] + pad, place[1] + pad
    part = sheet[top : top + ink.shape[0], left : left + ink.shape[1]]
    if scene.pen is not None:
        part += ink[..., None] * (np.array(PENS[scene.pen], np.float32) - part)
    if scene.table:
        _lay_on_table(sheet, pad, place, ink.shape, rng)
    picture = _seen(sheet, scene, (width, height), pad, rng)
    picture *= _lit(scene, (width, height), rng)[..., None] * np.array(CASTS[scene.cast], np.float32)
    if scene.light == "highlight":
        picture += 255 * _spot((width, height), rng, 0.12)[..., None]
    elif scene.light == "overexposed":
        picture *= 1.25
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(scene.blur * max(width, height) / 1000))
    image = image.resize(scene.size, Image.Resampling.BICUBIC)
    noise = rng.normal(0, scene.noise, (scene.size[1], scene.size[0], 1 if max(scene.size) > SHEET else 3))
    image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    if scene.form == "jpg":
        return _saved(image, "JPEG", quality=scene.quality)
    if scene.form == "scan":
        return _saved(image.convert("L").point(lambda value: 255 * (value > 150)).convert("1"), "PNG")
    return _saved(image.convert("L") if scene.form == "gray" else image, "PNG")


def _inked(
    digit: Digit, scene: Scene, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Floats, tuple[int, int]]:
    """Return the ink of the digit, and the row and column of its corner in the picture."""
    width, height = size
    ink = stroke(digit, max(8, round(scene.share * min(size))), scene.width, rng)
    if ink.shape[1] > 0.94 * width:
        ink = stroke(digit, int(ink.shape[0] * 0.9 * width / ink.shape[1]), scene.width, rng)
    if scene.pen in ("pencil", "chalk"):
        grain = rng.normal(0, 1, ink.shape).astype(np.float32)
        ink = (ink * np.clip(0.82 + 0.16 * grain, 0.2, 1)).astype(np.float32)
    return ink, (
        round((height - ink.shape[0]) * (0.03 + 0.94 * scene.place[1])),
        round((width - ink.shape[1]) * (0.03 + 0.94 * scene.place[0])),
    )


def _rule(sheet: Floats, scene: Scene, short: int, rng: np.random.Generator) -> None:
    color, squared = RULES[scene.rule or "ruled"]
    color = PENS[scene.pen or "black"] if scene.rule == "ruled in pen color" else color
    step, thick = max(6, round(scene.spacing * short)), max(1, round(short / 350))
    begin = int(rng.integers(step))
    for offset in range(thick):
        sheet[begin + offset :: step] = color
        if squared:
            sheet[:, begin + offset :: step] = color
    if not squared and rng.random() < 0.5:
        place = int(sheet.shape[1] * rng.uniform(0.25, 0.4))
        sheet[:, place : place + thick] = (225, 120, 130)


def _lay_on_table(
    sheet: Floats, pad: int, place: tuple[int, int], size: tuple[int, ...], rng: np.random.Generator
) -> None:
    """Let the paper end on one to three sides, between the digit and the picture's edge."""
    wood = np.array(rng.choice([(92, 64, 44), (60, 62, 66), (150, 118, 86)]), np.float32)
    wood = wood + np.array(rng.normal(0, 4, (1, sheet.shape[1], 1)), np.float32)
    height, width = sheet.shape[0] - 2 * pad, sheet.shape[1] - 2 * pad
    gaps = (place[0], height - place[0] - size[0], place[1], width - place[1] - size[1])
    for side in rng.permutation(4)[: rng.integers(1, 4)]:
        end = pad + int(gaps[side] * rng.uniform(0.1, 0.7))
        area = (np.s_[:end], np.s_[-end:], np.s_[:, :end], np.s_[:, -end:])[side]
        sheet[area] = np.broadcast_to(wood, sheet.shape)[area]


def _seen(sheet: Floats, scene: Scene, size: tuple[int, int], pad: int, rng: np.random.Generator) -> Floats:
    """Return the picture that the camera sees of the sheet, turned and in perspective."""
    image = Image.fromarray(np.clip(sheet, 0, 255).astype(np.uint8))
    width, height = size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64) - (width / 2, height / 2)
    angle = np.radians(scene.turn)
    corners = corners @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    corners *= 1 + scene.tilt * np.array([(-1, 0), (-1, 0), (1, 0), (1, 0)]).sum(1, keepdims=True) / 2
    corners += (width / 2 + pad, height / 2 + pad)
    rows: list[Any] = []
    for (x, y), (u, v) in zip([(0, 0), (width, 0), (width, height), (0, height)], corners, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
    data = np.linalg.solve(np.array(rows, np.float64), corners.reshape(-1))
    seen = image.transform(size, Image.Transform.PERSPECTIVE, tuple(data), Image.Resampling.BICUBIC)
    return np.array(seen, np.float32)


def _lit(scene: Scene, size: tuple[int, int], rng: np.random.Generator) -> Any:
    """Return the light on each pixel, float32 (height, width)."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y + rng.uniform(-0.2, 0.2)
    match scene.light:
        case "gradient":
            return 0.72 + 0.5 * np.clip(along, -0.55, 0.55)
        case "vignette":
            return 1 - 0.9 * (x * x + y * y)
        case "soft shadow":
            return 1 - 0.45 / (1 + np.exp(-along * 25))
        case "hard shadow":
            return 1 - 0.5 / (1 + np.exp(-along * 200))
        case "lamp":
            return 0.45 + 0.55 * _spot(size, rng, 0.45)
        case "dim":
            return np.full((height, width), 0.3, np.float32) + 0.1 * along
        case _:
            return np.ones((height, width), np.float32)


def _spot(size: tuple[int, int], rng: np.random.Generator, radius: float) -> Floats:
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - rng.uniform(0.2, 0.8), y / height - rng.uniform(0.2, 0.8)
    spot: Floats = np.exp(-(x * x + y * y) / radius**2)
    return spot


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def random_scene(rng: np.random.Generator, longest: int = 2000) -> Scene:
    """Draw a scene at random: every kind of paper, pen, light, camera and size."""
    paper = str(rng.choice(list(PAPERS)))
    board = paper.endswith("board")
    if board:
        pen = str(rng.choice(["black", *COLORED])) if paper == "whiteboard" else "chalk"
        width = float(rng.uniform(0.07, 0.16))
    else:
        pen = str(rng.choice(["black", "pencil", *COLORED]))
        width = float(rng.choice([0, rng.uniform(0.04, 0.08), rng.uniform(0.08, 0.16)]))
    rule = None
    if not board and rng.random() < 0.4:
        rule = str(rng.choice(["ruled", "squared"]))
    longer = round(float(np.exp(rng.uniform(np.log(60), np.log(longest)))))
    portrait = rng.random() < 0.5
    shorter = round(longer * float(rng.uniform(0.6, 1)))
    small = longer < 150
    kind = rng.random()
    return Scene(
        size=(shorter, longer) if portrait else (longer, shorter),
        share=float(rng.uniform(min(max(0.1, 24 / shorter), 0.8), 0.9)),
        place=(float(rng.random()), float(rng.random())),
        paper=paper,
        rule=None if small else rule,
        spacing=float(rng.uniform(0.04, 0.15)),
        pen=pen,
        width=max(width, 0.1) if small and width else width,
        light=str(rng.choice(LIGHTS[:-1] if paper != "whiteboard" else LIGHTS)),
        cast=str(rng.choice(list(CASTS))),
        turn=float(rng.uniform(-8, 8)),
        tilt=float(rng.uniform(-0.12, 0.12)),
        table=bool(rng.random() < 0.25) and not board,
        noise=float(rng.uniform(0, 7)),
        blur=float(rng.uniform(0, 1.5)),
        form="jpg" if kind < 0.75 else "png" if kind < 0.9 else "gray",
        quality=int(rng.choice([60, 75, 90])),
    )


class Simulated(NamedTuple):
    """A photograph of a digit."""

    digit: int
    scene: Scene
    data: bytes


def read_digits(folder: Path = DIGITS) -> tuple[list[Digit], list[int]]:
    """Return MNIST's test digits and their classes, or those of the committed sample."""
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return list(np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)), list(labels[8:])


def simulate(count: int, seed: int, folder: Path = DIGITS, *, longest: int = 2000) -> list[Simulated]:
    """Draw photographs at random, no side longer than `longest`; each depends on the seed and its number alone."""
    images, labels = read_digits(folder)
    simulated = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        row, scene = int(rng.integers(len(images))), random_scene(rng, longest)
        simulated.append(Simulated(labels[row], scene, photograph(images[row], scene, number)))
    return simulated
