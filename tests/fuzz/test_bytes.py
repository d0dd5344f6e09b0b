"""Hostile files: mutated images, manifests, graphs and latents are read or refused, and never anything else.

The suite runs a few hundred mutations, the same each time. `VAEGEN_FUZZ=full pytest tests/fuzz` runs 10,000 mutated
images, 1,000 mutated manifests and as many of the rest, other ones each time.
"""

import io
import itertools
import json
import os
import random
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from vaegen import BundleError, ImageError, IntegrityError, VaegenError, reconstruct_folder
from vaegen.bundle import read
from vaegen.decoding import SUFFIXES
from vaegen.images import INTAKE, Intake, decode_image, take_in
from vaegen.limits import MAX_PIXELS
from vaegen.manifest import GRAPHS
from vaegen.onnx_model import read as read_model
from vaegen.verification import verify
from vaegen_cli.latent_files import read_latents

FULL = os.environ.get("VAEGEN_FUZZ") == "full"
TINY = Path(__file__).parents[1] / "assets" / "tiny"
SLOW = 10.0  # seconds for one file; an ordinary one takes a millisecond
FILES = 25  # in one folder


def fuzz(suite: int, full: int) -> Callable[[Any], Any]:
    """Return the number of examples; what a run of the suite finds must not depend on chance."""
    return settings(
        max_examples=full if FULL else suite,
        deadline=None,
        database=None,
        derandomize=not FULL,
        suppress_health_check=[HealthCheck.too_slow],  # of the machine, where it has other work
    )


def seeds() -> dict[str, bytes]:
    """Small images of every format, and of every mode and layout in which the format is read by other code."""
    random = np.random.default_rng(0)
    rgb = Image.fromarray(random.integers(0, 256, (20, 30, 3)).astype(np.uint8)).resize((30, 20))
    flat = Image.new("RGB", (30, 20), (200, 30, 10))
    gray16 = Image.fromarray(random.integers(0, 65536, (20, 30)).astype(np.uint16))
    frames = [flat, rgb, rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    exif = Image.Exif()
    exif[274] = 6
    modes = {mode: rgb.convert(mode) for mode in ("1", "L", "P", "RGBA", "LA", "CMYK")}
    made: list[tuple[str, Image.Image, dict[str, Any]]] = [
        *(("PNG", modes[mode], {}) for mode in ("1", "L", "P", "RGBA", "LA")),
        ("PNG", flat, {"exif": exif}),
        ("PNG", gray16, {}),
        ("PNG", modes["P"], {"transparency": 3}),
        ("PNG", flat, {"save_all": True, "append_images": frames}),
        ("JPEG", rgb, {"exif": exif}),
        ("JPEG", rgb, {"progressive": True}),
        ("JPEG", modes["CMYK"], {}),
        ("JPEG", modes["L"], {"optimize": True}),
        ("BMP", rgb, {}),
        ("BMP", modes["P"], {}),
        ("BMP", modes["1"], {}),
        ("GIF", modes["P"], {}),
        ("GIF", flat, {"save_all": True, "append_images": frames, "duration": 10}),
        ("WEBP", rgb, {}),
        ("WEBP", modes["RGBA"], {"lossless": True, "exif": exif}),
        ("WEBP", flat, {"save_all": True, "append_images": frames}),
        ("TIFF", rgb, {}),
        *(("TIFF", rgb, {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")),
        ("TIFF", modes["1"], {"compression": "group4"}),
        ("TIFF", gray16, {}),
        ("TIFF", modes["CMYK"], {}),
        ("TIFF", flat, {"save_all": True, "append_images": frames}),
    ]
    files = {}
    for number, (form, image, options) in enumerate(made):
        stream = io.BytesIO()
        image.save(stream, form, **options)
        files[f"{number:02d}-{form.lower()}"] = stream.getvalue()
    return files


IMAGES = seeds()
MANIFEST = (TINY / "manifest.json").read_bytes()


def latents() -> dict[str, bytes]:
    values = np.arange(46, dtype=np.float32).reshape(2, 23)
    names = np.array(["a", "b/c"])
    files: dict[str, bytes] = {}
    stream = io.BytesIO()
    np.save(stream, values)
    files["0.npy"] = stream.getvalue()
    np.savez(stream := io.BytesIO(), latents=values, names=names)
    files["1.npz"] = stream.getvalue()
    np.savez_compressed(stream := io.BytesIO(), latents=values, names=names)
    files["2.npz"] = stream.getvalue()
    lines = "".join(json.dumps({"name": "a", "latent": row.tolist()}) + "\n" for row in values)
    return files | {"3.jsonl": lines.encode()}


LATENTS = latents()

# A place is a fraction of the length, so that it still lies in the file after other changes.
_place = st.integers(0, 2**20 - 1).map(lambda k: k / 2**20)
_number = st.sampled_from([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
_change = st.one_of(
    st.tuples(st.just("flip"), _place, st.integers(0, 7)),
    st.tuples(st.just("byte"), _place, st.integers(0, 255)),
    st.tuples(st.just("number"), _place, _number, st.sampled_from(["<H", ">H", "<I", ">I"])),
    st.tuples(st.just("insert"), _place, st.binary(max_size=8)),
    st.tuples(st.just("cut"), _place, st.integers(1, 64)),
    st.tuples(st.just("repeat"), _place, st.integers(1, 64), st.integers(1, 40)),
    st.tuples(st.just("end"), _place),
)
_changes = st.lists(_change, min_size=1, max_size=8)


def changed(data: bytes, changes: list[Any]) -> bytes:
    """Apply changes to a file."""
    for kind, share, *how in changes:
        at = int(share * len(data))
        if kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ 1 << how[0]]) + data[at + 1 :]
        elif kind == "byte":
            data = data[:at] + bytes([how[0]]) + data[at + 1 :]
        elif kind == "number":
            number = struct.pack(how[1], how[0] & (0xFFFF if how[1][1] == "H" else 0xFFFFFFFF))
            data = data[:at] + number + data[at + len(number) :]
        elif kind == "insert":
            data = data[:at] + how[0] + data[at:]
        elif kind == "cut":
            data = data[:at] + data[at + how[0] :]
        elif kind == "repeat":
            data = data[:at] + data[at : at + how[0]] * how[1] + data[at + how[0] :]
        elif kind == "end":
            data = data[:at]
    return data


def refusal(call: Callable[..., Any], *arguments: Any, error: type[VaegenError] = VaegenError) -> str | None:
    """Return the message of a refusal, None where there is none; anything else that is raised fails the test."""
    try:
        call(*arguments)
    except error as refused:
        return str(refused)
    return None


def is_one_line(message: str) -> bool:
    return bool(message) and "\n" not in message


def resealed(data: bytes) -> bytes:
    """Make the checksums of a PNG's chunks right again, so that its content is looked at and not refused by them."""
    at, parts = 8, [data[:8]]
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        parts += [data[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at += 12 + length
    return b"".join(parts) + data[at:]


@st.composite
def hostile_image(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(sorted(IMAGES)))
    data = changed(IMAGES[name], draw(_changes))
    if draw(st.integers(0, 9)) == 0:
        other = IMAGES[draw(st.sampled_from(sorted(IMAGES)))]
        data = data[: len(data) // 2] + other[len(other) // 2 :]
    return resealed(data) if name.endswith("png") and draw(st.booleans()) else data


def test_the_seeds_are_read() -> None:
    for name, data in IMAGES.items():
        assert decode_image(data).max() > 0, name
    assert {name.partition("-")[2] for name in IMAGES} == {"png", "jpeg", "bmp", "gif", "webp", "tiff"}


@fuzz(700, 10_000)
@given(hostile_image(), st.sampled_from(INTAKE))
def test_an_image_is_read_or_refused(data: bytes, intake: Intake) -> None:
    def read_it() -> None:
        pixels = take_in(data, intake=intake, max_pixels=2**26).pixels
        assert pixels.shape == (28, 28, 3)
        assert pixels.dtype == np.uint8

    began = time.process_time()
    message = refusal(read_it, error=ImageError)
    assert message is None or is_one_line(message)
    assert time.process_time() - began < SLOW


@fuzz(6, 60)
@given(st.lists(hostile_image(), min_size=FILES, max_size=FILES), st.integers(0, 2**32))
def test_a_folder_of_them_is_reconstructed_and_each_bad_one_is_named(contents: list[bytes], seed: int) -> None:
    suffixes = random.Random(seed).choices(SUFFIXES, k=FILES)
    with tempfile.TemporaryDirectory() as folder, vaegen.load(TINY) as model:
        source, target = Path(folder, "in"), Path(folder, "out")
        source.mkdir()
        for number, (data, suffix) in enumerate(zip(contents, suffixes, strict=True)):
            (source / f"{number}{suffix}").write_bytes(data)
        report = reconstruct_folder(model, source, target, report=target / "report.jsonl")
        lines = [json.loads(line) for line in (target / "report.jsonl").read_text().splitlines()]
        assert (report.planned, report.written + report.failed, len(lines)) == (FILES, FILES, FILES)
        for line in lines:
            assert Path(line["target"]).exists() == (line["status"] == "written") == (line["reason"] is None)
        assert len(list(target.iterdir())) == report.written + 1


def test_a_header_of_impossible_size_costs_no_memory() -> None:
    big = struct.pack(">II", 2**16, MAX_PIXELS // 2**16 + 1)
    png = IMAGES["01-png"]
    with pytest.raises(ImageError, match="pixels"):
        decode_image(resealed(png[:16] + big + png[24:]))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
_value = _json | st.sampled_from([10**400, -1, 2**31, 2**63, "n", "../encoder.onnx", [], {}, "float64", "\ud800", 0.0])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the way to every value in JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *itertools.chain.from_iterable(places(item, (*path, key)) for key, item in inner)]


PLACES = [path for path in places(json.loads(MANIFEST)) if path]


@st.composite
def hostile_manifest(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 3)) == 0:
        return changed(MANIFEST, draw(_changes))
    manifest = json.loads(MANIFEST)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        where: Any = manifest
        try:
            for key in path[:-1]:
                where = where[key]
            what = draw(st.sampled_from(["set", "remove", "rename"]))
            if what == "set":
                where[path[-1]] = draw(_value)
            elif what == "remove":
                del where[path[-1]]
            elif isinstance(where, dict):
                where[draw(st.text(max_size=8))] = where.pop(path[-1])
        except (LookupError, TypeError):
            continue  # an earlier change took the place away
    return json.dumps(manifest).encode()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose files the tests below replace."""
    return Path(shutil.copytree(TINY, tmp_path_factory.mktemp("fuzz") / "bundle"))


@fuzz(120, 1000)
@given(data=hostile_manifest())
def test_a_manifest_is_read_or_refused(hostile: Path, data: bytes) -> None:
    for graph in GRAPHS:
        shutil.copy(TINY / f"{graph}.onnx", hostile)
    (hostile / "manifest.json").write_bytes(data)
    began = time.process_time()
    problems = verify(hostile).problems
    assert all(is_one_line(check.problem or "") for check in problems)

    def use_it() -> None:
        with vaegen.load(hostile) as model:
            assert model.sample(3, "red").shape == (1, 28, 28, 3)
            assert model.reconstruct(np.zeros((1, 28, 28, 3), np.uint8), stochastic=True).shape == (1, 28, 28, 3)

    message = refusal(use_it, error=BundleError)
    assert message is None or (is_one_line(message) and problems)
    assert time.process_time() - began < SLOW


@fuzz(100, 1000)
@given(graph=st.sampled_from(GRAPHS), changes=_changes)
def test_a_changed_graph_is_refused_and_its_content_read_or_refused(
    hostile: Path, graph: str, changes: list[Any]
) -> None:
    for name in (*(f"{name}.onnx" for name in GRAPHS), "manifest.json"):
        shutil.copy(TINY / name, hostile)
    before = (TINY / f"{graph}.onnx").read_bytes()
    data = changed(before, changes)
    (hostile / f"{graph}.onnx").write_bytes(data)
    if data != before:
        with pytest.raises(IntegrityError, match=graph):
            read(hostile)
    began = time.process_time()
    message = refusal(read_model, data, "it", error=BundleError)
    assert message is None or is_one_line(message)
    assert time.process_time() - began < SLOW


@fuzz(150, 2000)
@given(name=st.sampled_from(sorted(LATENTS)), changes=_changes)
def test_latents_are_read_or_refused(hostile: Path, name: str, changes: list[Any]) -> None:
    file = hostile.parent / name
    file.write_bytes(changed(LATENTS[name], changes))

    def read_it() -> None:
        found = read_latents(file)
        assert not found.names or len(found.names) == len(found.values)

    message = refusal(read_it)
    assert message is None or is_one_line(message)
