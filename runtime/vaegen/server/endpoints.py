"""What the server answers, a table of endpoints: each with its parameters, and with the function that does the work."""

import base64
import functools
import gzip
import hashlib
import json
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import vaegen
from vaegen.bundle import SHIPPED
from vaegen.encoding import encode_png, encode_result, sheet, to_lists
from vaegen.errors import RequestError, first_line, quoted
from vaegen.images import INTAKE, errors, looks_unlike, read_picture
from vaegen.model import Model
from vaegen.noise import MAX_SEED
from vaegen.request import MAX_START, MAX_TRIES, SLANTS, THICKNESSES, check_latents
from vaegen.sampling import TRIES
from vaegen.server import schemas
from vaegen.server.limits import DRAWN, Limits
from vaegen.server.openapi import Answer, Endpoint, Job, document
from vaegen.server.parameters import Choice, Flag, Integer, Number, Temperature, Texts
from vaegen.server.refusals import RefusedError
from vaegen.server.workers import Workers
from vaegen.session import ROWS
from vaegen.spec import SIDE
from vaegen.subjects import (
    call_facts,
    count_subjects,
    describe,
    model_facts,
    picture_facts,
    plan_subjects,
    read_colors,
    read_digits,
    sheet_facts,
)

DRAWS = 2**14  # at most between two looks at the clock, some 1.3 seconds
PNG, JSON, HTML = "image/png", "application/json", "text/html"


class Endpoints:
    """The table, and what its functions work with."""

    def __init__(self, models: Mapping[str, Model], limits: Limits, workers: Workers) -> None:
        self._models = models
        self._limits = limits
        self._workers = workers
        self._default = default = vaegen.DEFAULT_MODEL if vaegen.DEFAULT_MODEL in models else next(iter(models))
        self._making = threading.Lock()
        self._pages: dict[str, Answer] = {}
        model = Choice("model", "The model.", default, tuple(models))
        form = Choice("format", "png or json; without it, the header Accept decides.", None, ("png", "json"))
        grid = Flag("grid", "One sheet of all images.")
        scale = Integer("scale", "Enlarge so many times, sharply.", 1, 1, 64)
        seed = Integer("seed", "Same seed, same images.", 0, 0, MAX_SEED)
        intake = Choice("intake", "auto makes a light stroke on black of a photographed digit.", "auto", INTAKE)
        self.table = (
            Endpoint(
                "/sample",
                "GET",
                "Draw digits in colors",
                "Every digit is combined with every color, count images each. A PNG is the file that `vaegen sample` "
                "writes for the same request, byte for byte; several images make one PNG with grid=true, or JSON.",
                (
                    Texts("digit", "3, 0-9 or 1,3,5; without it, drawn from the seed.", example="3"),
                    Texts("color", "CSS names, #rrggbb, rgb() or hsl(); likewise.", example="red"),
                    Integer("count", "Images of each combination of a digit and a color.", 1, 1, limits.count),
                    seed,
                    Integer(
                        "start", "Index of the first image in the seed's sequence.", 0, 0, MAX_START - limits.count
                    ),
                    Temperature("temperature", "Lower is surer, higher more varied; without it, the model's."),
                    Integer("tries", "Draws an image may take, 8 if not given; 1 checks nothing.", None, 1, MAX_TRIES),
                    Integer("best", "Draws of which each image is the best, in place of tries.", None, 1, MAX_TRIES),
                    Number("slant", "Degrees to the right; without it, as people write.", None, *SLANTS, "degrees"),
                    Number("thickness", "Pixels of the stroke; likewise.", None, *THICKNESSES, "pixels"),
                    Integer("hand", "A handwriting for all images; without it, many.", None, 0, MAX_SEED),
                    model,
                    grid,
                    scale,
                    form,
                ),
                None,
                {PNG: schemas.FILE, JSON: schemas.SAMPLES},
                self._sample,
                fixed=True,
            ),
            Endpoint(
                "/reconstruct",
                "POST",
                "Encode and decode an image",
                "The PNG is the file that `vaegen reconstruct` writes for the same image, byte for byte.",
                (
                    Flag("stochastic", "Draw the latent from the posterior; else its mean and modes."),
                    seed,
                    intake,
                    model,
                    form,
                ),
                "image",
                {PNG: schemas.FILE, JSON: schemas.RECONSTRUCTION},
                self._reconstruct,
            ),
            Endpoint(
                "/encode",
                "POST",
                "Turn an image into a latent",
                "A latent is a row of Z means, then N one-hots of K classes; /decode takes it back.",
                (Flag("posterior", "Add the posterior's mean and log-variance, and its logits."), intake, model),
                "image",
                {JSON: schemas.LATENTS},
                self._encode,
            ),
            Endpoint(
                "/decode",
                "POST",
                "Turn latents into images",
                "A PNG is the file that `vaegen decode` writes for the same latents, byte for byte.",
                (model, grid, scale, form),
                "json",
                {PNG: schemas.FILE, JSON: schemas.DECODED},
                self._decode,
            ),
            Endpoint(
                "/models",
                "GET",
                "List the models",
                "With their latent spaces, the names of their latents, and their figures.",
                (),
                None,
                {JSON: schemas.MODELS},
                self._list,
                at_once=True,
            ),
            Endpoint(
                "/health",
                "GET",
                "Say that the server works",
                "And how many requests are worked on or waiting. It is answered at once, however many there are.",
                (),
                None,
                {JSON: schemas.HEALTH},
                self._health,
                at_once=True,
            ),
            Endpoint(
                "/openapi.json",
                "GET",
                "Describe the server",
                "This document.",
                (),
                None,
                {JSON: {"type": "object"}},
                self._describe,
                at_once=True,
            ),
            Endpoint(
                "/",
                "GET",
                "Explore the models in a browser",
                "One page that needs nothing else, as `vaegen explore` writes it.",
                (model,),
                None,
                {HTML: {"type": "string"}},
                self._page,
            ),
        )

    def _sample(self, job: Job) -> Answer:
        asked, model = job.asked, self._models[job.asked["model"]]
        digits, colors, start = read_digits(asked["digit"]), read_colors(asked["color"]), asked["start"]
        n = count_subjects(digits, colors, asked["count"])
        self._check_count(n, "images", "and continue with a later start")
        as_json = self._check_form(n, asked)
        subjects = plan_subjects(digits, colors, asked["count"], seed=asked["seed"], start=start)
        how = {name: asked[name] for name in ("seed", "temperature", "tries", "best", "slant", "thickness", "hand")}
        call = call_facts(model.manifest, **how)
        images, described = [], []
        step = max(ROWS, min(self._limits.count, DRAWS // (asked["best"] or asked["tries"] or TRIES)))
        for at in range(0, n, step):
            job.clock.check()
            part = subjects[at : at + step]
            draw = model.draw([one.digit for one in part], [one.color.rgb for one in part], start=start + at, **how)
            images.append(draw.images)
            described += [describe(draw, row, subject) for row, subject in enumerate(part)]
        pictures = np.concatenate(images)
        if not as_json and asked["grid"]:
            whole = sheet(pictures, max(len(digits), 1), max(len(colors), 1))
            facts = call | sheet_facts(start, digits, colors, subjects)
            return Answer(encode_result(whole, asked["scale"], facts), PNG)
        files = (
            encode_result(image, asked["scale"], call | picture_facts(index, [one.digit], [one.color]))
            for index, (image, one) in enumerate(zip(pictures, subjects, strict=True), start)
        )
        if not as_json:
            return Answer(next(files), PNG)
        told = [{"index": start + row, **one} for row, one in enumerate(described)]
        return _as_json({**call, "images": self._with_files(job, told, files)})

    def _reconstruct(self, job: Job) -> Answer:
        asked, model = job.asked, self._models[job.asked["model"]]
        read = read_picture(job.body, intake=asked["intake"], max_pixels=self._limits.pixels)
        job.clock.check()
        result = model.reconstruct(read.pixels[None], asked["stochastic"], asked["seed"])
        if asked["format"] != "json":
            return Answer(encode_png(result[0]), PNG)
        _, (error,) = errors(read.pixels[None], result)
        facts = {"model": model.spec.name, "intake": read.kind, "unlike": looks_unlike(read.kind, float(error))}
        return _as_json({**facts, "mae": round(float(error), 6), "png": _text(encode_png(result[0]))})

    def _encode(self, job: Job) -> Answer:
        asked, model = job.asked, self._models[job.asked["model"]]
        read = read_picture(job.body, intake=asked["intake"], max_pixels=self._limits.pixels)
        job.clock.check()
        found = model.posterior(read.pixels[None])
        arrays = {"latents": found.latent}
        if asked["posterior"]:
            parts = {"mean": found.mean, "log_variance": found.log_variance, "logits": found.logits}
            arrays |= {name: part for name, part in parts.items() if part is not None}
        facts = {"model": model.spec.name, "intake": read.kind}
        return _as_json({**facts, **{name: to_lists(part) for name, part in arrays.items()}})

    def _decode(self, job: Job) -> Answer:
        asked, model = job.asked, self._models[job.asked["model"]]
        # Each latent begins with a bracket; a million of them would keep Python from doing anything else.
        self._check_count(job.body.count(b"[") + job.body.count(b"{") - 2, "latents", "in one request")
        entries = _read_latents(job.body)
        n = len(entries)
        self._check_count(n, "latents", "in one request")
        as_json = self._check_form(n, asked)
        latents = self._latents(job, model, entries)
        images = model.decode(latents)
        facts = model_facts(model.manifest)
        if not as_json:
            picture = sheet(images, 1, 1) if asked["grid"] else images[0]
            return Answer(encode_result(picture, asked["scale"], {**facts, "index": 0}), PNG)
        files = (encode_result(image, asked["scale"], {**facts, "index": row}) for row, image in enumerate(images))
        return _as_json({**facts, "images": self._with_files(job, [{"index": row} for row in range(n)], files)})

    def _list(self, _job: Job) -> Answer:
        return self._models_listed

    @functools.cached_property
    def _models_listed(self) -> Answer:
        models = []
        for name, model in self._models.items():
            own = {"kind": model.spec.kind, "bytes": model.manifest.size, "default": name == self._default}
            quality = _without_nan(model.manifest.quality)
            models.append({**model.spec.to_dict(), **own, "quality": quality})
        return _unchanging(_json({"models": models}), JSON)

    def _health(self, _job: Job) -> Answer:
        facts = {"status": "ok", "version": vaegen.__version__, "models": list(self._models)}
        return _as_json({**facts, "busy": self._workers.busy})

    def _describe(self, _job: Job) -> Answer:
        return self._described

    @functools.cached_property
    def _described(self) -> Answer:
        return _unchanging(_json(document(self.table, self._limits)), JSON)

    def _page(self, job: Job) -> Answer:
        name = job.asked["model"]
        with self._making:  # by one thread for all
            if name not in self._pages:
                from vaegen.explorer import explorer_page

                model = self._models[name]
                place = model.path.name if model.path.parent == SHIPPED else model.path
                self._pages[name] = _unchanging(explorer_page([place]), HTML)
            return self._pages[name]

    def _check_count(self, n: int, what: str, advice: str) -> None:
        if n > self._limits.count:
            raise RequestError(
                f"{n} {what} are too many for this server; ask for at most {self._limits.count} {advice}"
            )

    def _check_form(self, n: int, asked: Mapping[str, Any]) -> bool:
        """Return whether the answer is JSON; raise RequestError where n images do not fit into it."""
        as_json: bool = asked["format"] == "json"
        if as_json and asked["grid"]:
            raise RequestError("grid=true makes one PNG file; ask for image/png, or leave it out")
        if not as_json and not asked["grid"] and n > 1:
            raise RequestError(f"{n} images do not fit in one PNG file; add grid=true or format=json")
        if n * SIDE * SIDE * asked["scale"] ** 2 > DRAWN:
            raise RequestError(f"{n} images enlarged {asked['scale']} times have more than {DRAWN} pixels; lower scale")
        return as_json

    def _latents(self, job: Job, model: Model, entries: Sequence[Any]) -> npt.NDArray[np.floating[Any]]:
        """Return latents as an array: rows of numbers as they are, the others picked by name."""
        rows = []
        for entry in entries:
            if isinstance(entry, dict):
                job.clock.check()
                rows.append(model.latent(entry)[0].tolist())
            elif isinstance(entry, list) and all(type(number) in (int, float) for number in entry):
                rows.append(entry)
            else:
                raise RequestError(f"latent {quoted(entry)} is neither a list of numbers nor an object of names")
        try:
            array = np.array(rows, np.float64)
        except (ValueError, OverflowError) as error:  # of several lengths, or integers of a thousand digits
            size = model.spec.latent.size
            raise RequestError(f"latents are rows of {size} finite numbers; at least one is not") from error
        return check_latents(array, model.spec.latent.size)

    def _with_files(self, job: Job, facts: Sequence[Mapping[str, Any]], files: Iterable[bytes]) -> list[dict[str, Any]]:
        """Return what is known of each image, and its file."""
        entries = []
        for one, file in zip(facts, files, strict=True):
            job.clock.check()
            entries.append({**one, "png": _text(file)})
        return entries


def _read_latents(body: bytes) -> list[Any]:
    """Return the entries of {"latents": [...]}.

    Raises:
        RefusedError: It is not JSON.
        RequestError: It is something else, or empty.
    """

    def refuse(text: str) -> float:
        raise ValueError(text)

    try:
        data = json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise RefusedError("BadRequest", f"the body is not JSON: {first_line(error)}") from error
    if not isinstance(data, dict) or set(data) != {"latents"} or not isinstance(data["latents"], list):
        raise RequestError('the body must be {"latents": [...]}, and nothing else')
    if not data["latents"]:
        raise RequestError("there are no latents; give at least one")
    entries: list[Any] = data["latents"]
    return entries


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, allow_nan=False).encode()


def _as_json(data: Mapping[str, Any]) -> Answer:
    return Answer(_json(data), JSON)


def _unchanging(content: bytes, media: str) -> Answer:
    """Return an answer that will be given again and again."""
    small = gzip.compress(content, mtime=0)
    pays = len(small) < 0.95 * len(content)
    return Answer(content, media, hashlib.sha256(content).hexdigest()[:32], small if pays else None)


def _text(file: bytes) -> str:
    """Return the bytes of a file in base64."""
    return base64.b64encode(file).decode()


def _without_nan(value: Any) -> Any:
    """Return what a manifest holds without the numbers that JSON does not know, which Python reads and writes."""
    if isinstance(value, Mapping):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
