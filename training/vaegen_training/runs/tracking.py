"""Trackers, whose pages show a run's curves and sample grids: each is a library of its own, none a dependency."""

import contextlib
import importlib.util
import io
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from vaegen.errors import ConfigError, DataError, MissingExtraError, first_line
from vaegen.files import read_file, write_file

PROJECT = "vaegen"
TRACKING = "tracking.json"
_MAX_TEXT = 2**10  # bytes of it

Pixels = npt.NDArray[np.uint8]


class Tracker(Protocol):
    """What a run tells a tracker."""

    view: str
    """The command, or the address, at which people look."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take values after a step, counted through all stages: `{"vae/loss": 81.5}`."""

    def image(self, step: int, name: str, path: Path) -> None:
        """Take a PNG file."""

    def close(self) -> None:
        """Hand on what is left and end."""


class TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        place = folder / "tensorboard"
        self.view = f"tensorboard --logdir {place}"
        self._writer = SummaryWriter(place)
        self._writer.add_text("settings", f"```json\n{json.dumps(settings, indent=2)}\n```")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add points."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def image(self, step: int, name: str, path: Path) -> None:
        """Add a picture."""
        self._writer.add_image(name, _pixels(path), step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class WeightsAndBiases:
    """A run of the project "vaegen": on the server that `wandb login` knows, or offline in the run's folder."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        name = _name(folder)
        try:
            self._run = wandb.init(
                project=PROJECT,
                id=name,
                name=name,
                dir=folder,
                config=dict(settings),
                resume="allow",
                settings=wandb.Settings(console="off", quiet=True),
            )
        except wandb.Error as error:
            raise ConfigError(f"wandb: {first_line(error).rstrip('.')}; or set WANDB_MODE=offline") from error
        self._image = wandb.Image
        # Each call of an offline run has a folder of its own; they are one run to the server.
        self.view = f"wandb sync {folder}/wandb/offline-run-*" if self._run.offline else str(self._run.url)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add points."""
        self._run.log(dict(values), step=step)

    def image(self, step: int, name: str, path: Path) -> None:
        """Add a picture."""
        self._run.log({name: self._image(str(path))}, step=step)

    def close(self) -> None:
        """Hand on what is left."""
        self._run.finish()


class Trackio:
    """A run of the project "vaegen" in trackio's database."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import trackio

        self._trackio = trackio
        with contextlib.redirect_stdout(io.StringIO()):  # stdout is for results
            self._run = trackio.init(project=PROJECT, name=_name(folder), config=dict(settings), resume="allow")
        self.view = f"trackio show --project {PROJECT}"

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add points."""
        self._trackio.log(dict(values), step=step)

    def image(self, step: int, name: str, path: Path) -> None:
        """Add a picture."""
        self._trackio.log({name: self._trackio.Image(str(path))}, step=step)

    def close(self) -> None:
        """Write what is left."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._trackio.finish()


class Mlflow:
    """A run of the experiment "vaegen", where MLFLOW_TRACKING_URI or mlflow's own default says."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import mlflow

        name = _name(folder)
        self._entities = mlflow.entities
        try:
            self._client = mlflow.MlflowClient()
            experiment = self._client.get_experiment_by_name(PROJECT)
            number = experiment.experiment_id if experiment else self._client.create_experiment(PROJECT)
            found = self._client.search_runs([number], f"attributes.run_name = '{name}'")
            self._run = (found or [self._client.create_run(number, run_name=name)])[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            if not found:
                self._client.log_dict(self._run, dict(settings), "settings.json")
        except mlflow.MlflowException as error:
            raise ConfigError(f"mlflow: {first_line(error)}; see MLFLOW_TRACKING_URI") from error
        self.view = f"mlflow ui --backend-store-uri {mlflow.get_tracking_uri()}"

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add points."""
        now = int(time.time() * 1000)
        points = [self._entities.Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, points)

    def image(self, step: int, name: str, path: Path) -> None:
        """Add a picture."""
        self._client.log_image(self._run, _pixels(path), key=name, step=step)

    def close(self) -> None:
        """End the run."""
        self._client.set_terminated(self._run)


_KINDS: Final[Mapping[str, Callable[[Path, Mapping[str, Any]], Tracker]]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
    "mlflow": Mlflow,
}
TRACKERS = tuple(_KINDS)


def check_tracker(name: str) -> None:
    """Refuse a tracker that is unknown or not installed.

    Raises:
        ConfigError: It is unknown.
        MissingExtraError: It is not installed.
    """
    if name not in TRACKERS:
        raise ConfigError(f"unknown tracker {name!r}; choose from {', '.join(TRACKERS)}")
    if importlib.util.find_spec(name) is None:
        raise MissingExtraError(f"{name} is not installed: pip install {name}")


def open_tracker(name: str, folder: Path, settings: Mapping[str, Any]) -> Tracker:
    """Open a run's page; a run that goes on gets the page that it had.

    Args:
        name: One of TRACKERS.
        folder: The run's folder.
        settings: Shown with the curves.

    Raises:
        ConfigError: The tracker refuses.
        DataError: The name that it knows the run by is damaged.
    """
    return _KINDS[name](folder, settings)


def _pixels(path: Path) -> Pixels:
    """Return a picture, uint8 (height, width, 3)."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _name(folder: Path) -> str:
    """Return the name of the run in a folder: the folder's, and what tells it from others of that name."""
    path = folder / TRACKING
    if not path.exists():
        write_file(path, (json.dumps({"id": secrets.token_hex(4)}) + "\n").encode(), force=True, sync=True)
    known = re.fullmatch(rb'\{"id": "([0-9a-f]{8})"\}\n', read_file(path, _MAX_TEXT))
    if known is None:
        raise DataError(f"{path} is damaged; remove it to begin new curves")
    stem = re.sub(r"[^\w.-]", "-", folder.resolve().name)  # what no tracker objects to
    return f"{stem}-{known[1].decode()}"
