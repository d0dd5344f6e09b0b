"""A program as a user of vaegen writes it; `test_consumer.py` has it checked by mypy and pyright in strict mode."""

from collections.abc import Sequence
from pathlib import Path
from typing import assert_type

import numpy as np
import numpy.typing as npt
import vaegen


def sample(names: Sequence[str]) -> list[npt.NDArray[np.uint8]]:
    images: list[npt.NDArray[np.uint8]] = []
    for name in names:
        with vaegen.load(name, threads=2) as model:
            images.append(model.sample(3, "red"))
            images.append(model.sample([1, 2], ["red", (0, 128, 255)], 2, seed=1, start=4, temperature=0.5, tries=1))
            images.append(model.sample([1, 2], "red", slant=[-10, 5.5], thickness=np.array([2.0, 3.0]), hand=7))
            images.append(model.decode(model.latent({"digit": 3, "hue": 0.55})))
            images.append(model.sample(np.array([1, 2]), (255, 0, 0)))
            images.append(vaegen.walk(model, [3, 8], ["red", (0, 0, 255)], 12, hand=7).take(np.arange(2)).images)
    return images


def describe(model: vaegen.Model) -> str:
    assert_type(model.spec, vaegen.ModelSpec)
    assert_type(model.manifest, vaegen.Manifest)
    assert_type(model.path, Path)
    assert_type(model.spec.latent, vaegen.LatentSpec)
    assert_type(model.spec.latent.categorical, tuple[int, int])
    assert_type(vaegen.models(), tuple[str, ...])
    assert_type(vaegen.__version__, str)
    return f"{model.spec.name} {vaegen.DEFAULT_MODEL} {model.spec.latent.size}"


def there_and_back(model: vaegen.Model, path: Path) -> npt.NDArray[np.uint8]:
    image = vaegen.read_image(path)
    assert_type(image, npt.NDArray[np.uint8])
    latents = model.encode(image[None])
    assert_type(latents, npt.NDArray[np.float32])
    assert_type(model.judge(image[None]), npt.NDArray[np.float32])
    assert_type(model.reconstruct(image[None], stochastic=True, seed=1), npt.NDArray[np.uint8])
    posterior = model.posterior(image[None])
    assert_type(posterior, vaegen.Posterior)
    if posterior.mean is not None:
        print(posterior.mean.shape)
    return model.decode(latents)


def look(draw: vaegen.Draw) -> int:
    assert_type(draw.images, npt.NDArray[np.uint8])
    assert_type(draw.accepted, npt.NDArray[np.bool_] | None)
    return 0 if draw.accepted is None else int(draw.accepted.sum())


def folder(model: vaegen.Model) -> int:
    try:
        report = vaegen.reconstruct_folder(model, "in", Path("out"))
    except (vaegen.RequestError, vaegen.OutputError, vaegen.BundleError) as error:
        print(error)
        return 1
    assert_type(report, vaegen.FolderReport)
    return 0


def wrong(model: vaegen.Model) -> None:
    # Each of these must be an error; strict mode complains about an ignore that is not needed.
    model.sample("3", "red")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    model.sample(3, 1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    model.samples(3, "red")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    vaegen.lod("joint")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
