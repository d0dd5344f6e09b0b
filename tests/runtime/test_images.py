"""Any picture a person has is read the documented way, and no bad one gets through."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from vaegen import ImageError, Model, RequestError, decoding, images
from vaegen.encoding import encode_png
from vaegen.images import decode_image, fit, read_image

RED, BLUE = (200, 10, 20), (10, 20, 200)


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


@pytest.fixture
def picture() -> Image.Image:
    """28x28, every pixel different."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28, 3)).astype(np.uint8))


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_a_28x28_picture_keeps_its_pixels(
    picture: Image.Image, tmp_path: Path, file_format: str, options: dict[str, object]
) -> None:
    # The format is told by the content, whatever the name says.
    (tmp_path / "picture.jpg").write_bytes(saved(picture, file_format, **options))
    found = read_image(tmp_path / "picture.jpg")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.asarray(picture))
    assert found.flags.writeable


@pytest.mark.parametrize(("file_format", "slack"), [("JPEG", 12), ("GIF", 12), ("WEBP", 12)])
def test_lossy_formats_come_close(file_format: str, slack: int) -> None:
    image = Image.new("RGB", (28, 28), RED)
    found = decode_image(saved(image, file_format)).astype(int)
    assert abs(found - RED).max() <= slack


def test_what_was_written_is_read_back(model: Model, tmp_path: Path) -> None:
    image = model.sample(3, "teal")[0]
    (tmp_path / "3.png").write_bytes(encode_png(image, {"seed": "0", "note": "grün"}))
    np.testing.assert_array_equal(read_image(tmp_path / "3.png"), image)
    with Image.open(tmp_path / "3.png") as file:
        assert isinstance(file, PngImagePlugin.PngImageFile)
        assert file.format == "PNG"
        assert file.text == {"seed": "0", "note": "grün"}
    assert encode_png(image) == encode_png(np.asfortranarray(image))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((28, 28), np.uint8),
        np.zeros((28, 28, 4), np.uint8),
        np.zeros((28, 28, 3)),
        np.zeros((1, 28, 28, 3), np.uint8),
    ],
)
def test_only_rgb_images_become_files(image: np.ndarray) -> None:
    with pytest.raises(RequestError, match="uint8"):
        encode_png(image)


def stripes(mode: str) -> Image.Image:
    """20 wide, 20 high; the left half full, the right half empty."""
    image = Image.new("L", (28, 28))
    image.paste(255, (0, 0, 14, 28))
    if mode in ("L", "1", "P", "RGB", "CMYK", "YCbCr"):
        return image.convert(mode)
    if mode == "LA":
        return Image.merge("LA", (Image.new("L", (28, 28), 255), image))
    if mode == "RGBA":
        return Image.merge("RGBA", (*Image.new("RGB", (28, 28), "white").split(), image))
    values = np.asarray(image).astype(np.uint16) * 257
    if mode == "I":
        return Image.fromarray(values.astype(np.int32))
    return Image.frombytes(mode, (28, 28), values.astype(">u2" if mode == "I;16B" else "<u2").tobytes())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "I;16L", "I;16B"])
def test_every_mode_becomes_rgb_on_black(mode: str) -> None:
    image = stripes(mode)
    assert image.mode == mode
    found = fit(image)
    assert (found[:, :14] >= 254).all()
    assert (found[:, 14:] <= 1).all()


def test_sixteen_bits_keep_their_range() -> None:
    values = np.zeros((28, 28), np.uint16)
    values[0, :5] = (0, 255, 257 * 100, 257 * 100 + 128, 65535)
    for file_format in ("PNG", "TIFF"):
        found = decode_image(saved(Image.fromarray(values), file_format))
        assert (found[..., 0] == found[..., 2]).all()
        assert found[0, :5, 0].tolist() == [0, 1, 100, 100, 255]


def test_transparency_shows_the_black_behind_it() -> None:
    half = Image.new("RGBA", (28, 28), (200, 100, 0, 128))
    assert abs(decode_image(saved(half, "PNG"))[5, 5].astype(int) - (100, 50, 0)).max() <= 1
    palette = Image.new("P", (28, 28), 1)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    assert (decode_image(saved(palette, "PNG", transparency=1)) == 0).all()
    assert (decode_image(saved(palette, "PNG", transparency=0)) == 255).all()
    gray = Image.new("L", (28, 28), 77)
    assert (decode_image(saved(gray, "PNG", transparency=77)) == 0).all()
    color = Image.new("RGB", (28, 28), RED)
    assert (decode_image(saved(color, "PNG", transparency=RED)) == 0).all()


def test_pictures_are_fitted_whole_and_centred_on_black() -> None:
    wide = fit(Image.new("RGB", (280, 140), RED))
    assert (wide[7:21] == RED).all()
    assert (wide[:7] == 0).all()
    assert (wide[21:] == 0).all()
    tall = fit(Image.new("RGB", (7, 14), RED))
    assert (tall[:, 7:21] == RED).all()
    assert (tall[:, :7] == 0).all()
    assert (tall[:, 21:] == 0).all()
    line = fit(Image.new("RGB", (3000, 1), RED))
    assert (line.max((1, 2)) > 0).sum() == 1


def test_shrinking_is_antialiased() -> None:
    checks = np.indices((280, 280)).sum(0) % 2 * 255
    found = fit(Image.fromarray(checks.astype(np.uint8)))
    assert abs(found.astype(int) - 127.5).max() < 3


@pytest.mark.parametrize(("width", "height", "orientation"), [(1601, 1203, 1), (1601, 1203, 6), (451, 600, 3)])
def test_a_large_jpeg_decoded_at_a_part_of_its_size_looks_as_at_all_of_it(
    width: int, height: int, orientation: int
) -> None:
    colors = np.random.default_rng(0).integers(0, 256, (15, 20, 3)).astype(np.uint8)
    photograph = Image.fromarray(colors).resize((width, height), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(photograph, "JPEG", quality=90, exif=exif)
    with Image.open(io.BytesIO(data)) as whole:
        expected = fit(whole)
    difference = abs(decode_image(data).astype(int) - expected)
    assert 0 < difference.max() <= 3
    assert difference.mean() < 0.3


LARGE_JPEG = """
import io
from PIL import Image
from vaegen.images import decode_image
def saved(side):
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).save(stream, "JPEG")
    return stream.getvalue()
data = saved(4096)
decode_image(saved(512))
def peak():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
with open("/proc/self/clear_refs", "w") as reset:
    reset.write("5")
before = peak()
decode_image(data)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")
def test_a_large_jpeg_takes_no_memory_for_pixels_that_are_not_needed() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE_JPEG], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 12_000  # KiB; all pixels, decoded and as RGB, take 65,536


def test_exif_orientation_turns_the_picture() -> None:
    image = Image.new("RGB", (28, 28), RED)
    image.paste(BLUE, (0, 0, 28, 14))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    found = decode_image(saved(image, "PNG", exif=exif))
    assert (found[:, :14] == RED).all()
    assert (found[:, 14:] == BLUE).all()


def test_the_first_frame_of_several_counts() -> None:
    frames = [Image.new("RGB", (28, 28), color) for color in (RED, BLUE)]
    found = decode_image(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    assert (found == RED).all()


def bomb(width: int = 20000, height: int = 20000) -> bytes:
    """A PNG of 400 million pixels in 100 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"", "not a PNG, JPEG, BMP, GIF, WEBP or TIFF image"),
        (lambda: b"hello", "not a PNG"),
        (lambda: b"\x89PNG\r\n\x1a\n", "not a PNG|damaged"),
        (lambda: saved(Image.new("RGB", (28, 28)), "PPM"), "not a PNG"),
        (lambda: saved(Image.new("RGB", (28, 28)), "ICO"), "not a PNG"),
        (lambda: saved(Image.new("F", (28, 28)), "TIFF"), "floating-point"),
        (lambda: saved(Image.effect_noise((99, 99), 50), "PNG")[:3000], "damaged"),
        (lambda: saved(Image.effect_noise((99, 99), 50), "JPEG")[:1000], "damaged"),
        (bomb, "pixels"),
        (
            lambda: bomb(16385, 16384),
            r"16385 x 16384 .* 268435456 .*raise max_pixels to 268451840$",
        ),
        (lambda: bomb(16384, 16384), r"takes 1073 MB, .* 805 .*raise max_pixels to 357913942$"),
        (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC images are not read; save it as PNG or JPEG"),
        (lambda: b"\0\0\0\x1cftypavif\0\0\0\0avif", "AVIF images are not read; save it as PNG or JPEG"),
        (lambda: b"\xff\x0a\xfa", "JPEG XL images are not read; save it as PNG or JPEG"),
    ],
)
def test_bad_files_are_one_clear_line(make: Callable[[], bytes], message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(make())
    with pytest.raises(ImageError, match=message) as refusal:
        read_image(path)
    assert str(refusal.value).startswith(f"cannot read '{path}': ")
    assert "\n" not in str(refusal.value)


def test_callers_say_how_many_pixels_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(Image.new("1", (100, 100), 1), "PNG"))
    assert read_image(tmp_path / "a.png", intake="as-is", max_pixels=10_000).min() == 255
    with pytest.raises(ImageError, match="100 x 100 pixels are more than the 9999"):
        read_image(tmp_path / "a.png", max_pixels=9_999)
    with pytest.raises(ImageError, match="damaged"):  # and no longer too large
        decode_image(bomb(), max_pixels=2**30)
    with pytest.raises(RequestError, match="max_pixels 0"):
        read_image(tmp_path / "a.png", max_pixels=0)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.png", "No such file"),
        (tmp_path, "it is a folder"),
        (tmp_path / ("a" * 300), "too long"),
        ("a\0b", "null"),
    ):
        with pytest.raises(ImageError, match=message):
            read_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a plain file"):
        read_image(tmp_path / "pipe.png")


def test_a_file_too_large_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_FILE", 100)
    (tmp_path / "a.png").write_bytes(saved(Image.new("RGB", (28, 28)), "PNG") + bytes(100))
    data = (tmp_path / "a.png").read_bytes()
    for source in (tmp_path / "a.png", data, io.BytesIO(data)):
        with pytest.raises(ImageError, match="larger than"):
            read_image(source)


def test_random_damage_is_an_image_error_or_an_image(picture: Image.Image) -> None:
    generator = np.random.default_rng(0)
    for file_format in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"):
        original = saved(picture, file_format)
        for _ in range(60):
            data = bytearray(original)
            for place in generator.integers(0, len(data), 3):
                data[place] = generator.integers(256)
            with contextlib.suppress(ImageError):
                assert decode_image(bytes(data)).shape == (28, 28, 3)


def test_broken_exif_warns_nobody_and_costs_nothing(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    for file_format in ("JPEG", "PNG", "WEBP"):
        options = {"lossless": True} if file_format == "WEBP" else {}
        data = saved(picture, file_format, exif=exif, **options)
        place = data.index(b"MM\0*\0" if b"MM\0*\0" in data else b"II*\0")
        broken = data[:place] + b"II*\0\x08\0\0\0\xff\xff" + data[place + 10 :]
        if file_format != "PNG":  # its checksum is wrong now, which nobody looks at
            with pytest.warns(UserWarning, match="EXIF"), Image.open(io.BytesIO(broken)) as warned:
                warned.getexif()
        np.testing.assert_array_equal(decode_image(broken), decode_image(data))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "I;16", "CMYK"])
def test_bands_make_no_difference(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (203, 301, 4)).astype(np.uint8)
    image = Image.fromarray(noise)
    if mode == "I;16":
        image = Image.fromarray(noise[..., :2].reshape(203, 602).view(np.uint16))
    elif mode != "RGBA":
        image = image.convert("RGB").convert(mode)
    whole = fit(image)
    monkeypatch.setattr(images, "BAND", 301 * 10)
    np.testing.assert_array_equal(fit(image), whole)


def test_other_threads_keep_their_warnings(picture: Image.Image) -> None:
    data = saved(picture, "PNG")
    stop = threading.Event()
    failures: list[Exception] = []

    def warn() -> None:
        while not stop.is_set():
            try:
                warnings.warn("mine", UserWarning, stacklevel=1)
            except UserWarning as error:
                failures.append(error)
                return

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thread = threading.Thread(target=warn)
        thread.start()
        for _ in range(300):
            decode_image(data)
        stop.set()
        thread.join()
    assert not failures


# --- PNG files of vaegen's own making ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(28, 28, 3), (1, 1, 3), (3, 500, 3), (300, 2, 3)])
def test_pillow_reads_the_same_pixels(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels)), formats=("PNG",)) as image:
        image.verify()  # the checksums
    with Image.open(io.BytesIO(encode_png(pixels)), formats=("PNG",)) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.array(image), pixels)


def test_texts_of_any_language() -> None:
    texts = {"vaegen:color": "red", "note": "grün", "name": "\u4e2d\u6587", "empty": "", "k" * 79: "x" * 5000}
    data = encode_png(np.zeros((28, 28, 3), np.uint8), texts)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info == texts
    assert b"tEXtnote\0gr\xfcn" in data
    assert b"iTXtname\0\0\0\0\0" + texts["name"].encode() in data


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("", "x"), ("k" * 80, "x"), ("\u4e2d", "x"), ("k", "a\0b"), ("a\0b", "x"), ("k", "\udcff")],
)
def test_texts_that_no_reader_would_find_again(keyword: str, value: str) -> None:
    with pytest.raises(RequestError, match="cannot carry"):
        encode_png(np.zeros((28, 28, 3), np.uint8), {keyword: value})


def test_a_result_takes_no_more_room_than_pillow_would_need() -> None:
    digit = np.zeros((28, 28, 3), np.uint8)
    digit[5:23, 11:17] = (200, 30, 90)
    stream = io.BytesIO()
    Image.fromarray(digit).save(stream, "PNG")
    assert len(encode_png(digit)) <= len(stream.getvalue())
