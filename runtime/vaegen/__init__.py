"""Colored digits from small VAEs, on any CPU: numpy, onnxruntime and Pillow, no torch.

    import vaegen

    model = vaegen.load("joint")
    images = model.sample(digit=3, color="red", count=16, seed=0)  # uint8 (16, 28, 28, 3)
    again = model.reconstruct(images)

Importing this package loads none of numpy, onnxruntime and Pillow: each public name is fetched on first use
(PEP 562), so that a command line can print its help, or a server start, without waiting for them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaegen.bundle import models
    from vaegen.enlarging import enlarge
    from vaegen.errors import (
        BundleError,
        ConfigError,
        DataError,
        ExportError,
        ImageError,
        IntegrityError,
        MissingExtraError,
        OutputError,
        RequestError,
        VaegenError,
    )
    from vaegen.folder import FolderReport, Outcome, reconstruct_folder
    from vaegen.images import read_image
    from vaegen.manifest import Manifest
    from vaegen.model import Draw, Model, Posterior, load
    from vaegen.moves import walk
    from vaegen.outline import svg
    from vaegen.spec import LatentSpec, ModelSpec

__version__ = "0.1.0"  # read by the build too; asking the installation for it takes 17 ms

DEFAULT_MODEL = "joint"
"""The shipped model that answers when none is named: the one with the best figures."""

__all__ = [
    "DEFAULT_MODEL",
    "BundleError",
    "ConfigError",
    "DataError",
    "Draw",
    "ExportError",
    "FolderReport",
    "ImageError",
    "IntegrityError",
    "LatentSpec",
    "Manifest",
    "MissingExtraError",
    "Model",
    "ModelSpec",
    "Outcome",
    "OutputError",
    "Posterior",
    "RequestError",
    "VaegenError",
    "__version__",
    "enlarge",
    "load",
    "models",
    "read_image",
    "reconstruct_folder",
    "svg",
    "walk",
]

_HOME = {
    "Draw": "model",
    "FolderReport": "folder",
    "LatentSpec": "spec",
    "Manifest": "manifest",
    "Model": "model",
    "ModelSpec": "spec",
    "Outcome": "folder",
    "Posterior": "model",
    "enlarge": "enlarging",
    "load": "model",
    "models": "bundle",
    "read_image": "images",
    "reconstruct_folder": "folder",
    "svg": "outline",
    "walk": "moves",
}
"""The module of each name that is fetched on first use; what is not listed here is an error class."""


# Hidden from type checkers, to whom it would mean that any name exists.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"{__name__}.{_HOME.get(name, 'errors')}")
        value = getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
