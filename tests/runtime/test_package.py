"""What `import vaegen` gives, and what it costs."""

import importlib
import inspect
import subprocess
import sys
from importlib.metadata import version

import pytest
import vaegen

PUBLIC = [
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
HEAVY = {"numpy", "onnxruntime", "PIL", "torch", "onnx", "click", "logging", "starlette", "uvicorn"}


def fresh(code: str) -> str:
    """Run code in an interpreter of its own, cut off from this folder and the environment."""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    ["import vaegen", "import vaegen.spec, vaegen.errors", "import vaegen; vaegen.DEFAULT_MODEL, dir(vaegen)"],
)
def test_importing_loads_nothing_heavy(code: str) -> None:
    loaded = set(fresh(f"{code}; import sys; print(*sys.modules)").split())
    assert not loaded & HEAVY


def test_loading_a_model_needs_no_onnxruntime(tiny: object) -> None:
    code = f"import vaegen, sys; print(vaegen.load({str(tiny)!r}).spec.kind, 'onnxruntime' in sys.modules)"
    assert fresh(code).split() == ["joint", "False"]


def test_public_names_are_these_and_all_exist() -> None:
    assert vaegen.__all__ == PUBLIC
    for name in PUBLIC:
        assert getattr(vaegen, name) is not None
    assert set(PUBLIC) <= set(dir(vaegen))


def test_star_import_gives_the_public_names() -> None:
    names = fresh("from vaegen import *; print(*globals())").split()
    assert set(PUBLIC) <= set(names)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        vaegen.lod  # type: ignore[attr-defined]  # noqa: B018


def test_every_error_is_a_vaegen_error_and_public() -> None:
    errors = importlib.import_module("vaegen.errors")
    own = inspect.getmembers(errors, lambda value: inspect.isclass(value) and value.__module__ == errors.__name__)
    for name, error in own:
        assert issubclass(error, vaegen.VaegenError)
        assert name in PUBLIC
        assert f" {name} " in (errors.__doc__ or "") + " ", f"{name} is missing in the drawing of the tree"


def test_version_is_the_distribution_s() -> None:
    assert vaegen.__version__ == version("vaegen")
