"""Color profiles (ICC.1) that image files carry: what their numbers mean, converted to sRGB by Pillow's ImageCms.

A profile comes from anywhere, as the file does. It is bounded in size, and one that is broken, or of another kind than
the picture, is left aside: the pixels are then taken as they are, as they are in a Pillow without littlecms.
"""

import functools
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

MAX_PROFILE = 2**22  # bytes: those of cameras and screens take 500 to 4,000, those of printing presses 2.7 million
ALMOST = 2  # of 255: a profile that changes no color by more is sRGB in other words, and changes nothing

_SPACES = {"RGB": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}
_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")  # of devices and spaces; others lead from one to another


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a picture of mode RGB, L or CMYK to sRGB; return it as it is where its profile cannot be used."""
    transform = _transform(profile, image.mode) if _fits(profile, image.mode) else None
    return image if transform is None else transform.apply(image)


def _fits(profile: bytes, mode: str) -> bool:
    """Return whether bytes are a profile of a device whose pixels have this mode (ICC.1:2022, 7.2)."""
    size = int.from_bytes(profile[:4], "big")
    header = profile[12:16] in _CLASSES and profile[36:40] == b"acsp" and profile[16:20] == _SPACES.get(mode)
    return header and 128 < size <= len(profile) <= MAX_PROFILE


@functools.lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> "ImageCmsTransform | None":
    """Return what converts to sRGB; None where nothing does, or has to."""
    from PIL import ImageCms  # 2 ms that only profiles cost

    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
        )
        if mode == "CMYK":
            return transform
        levels = np.linspace(0, 255, 9 if mode == "RGB" else 256).round().astype(np.uint8)
        colors = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3) if mode == "RGB" else levels[None]
        probe = Image.fromarray(colors)
        changes = np.asarray(transform.apply(probe)).astype(np.int16) - np.asarray(probe.convert("RGB"))
    # The last where Pillow was built without littlecms.
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError, ImportError):
        return None
    return transform if abs(changes).max() > ALMOST else None
