"""What an endpoint is, and the description of all of them, OpenAPI 3.1, made from the table that validates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import vaegen
from vaegen.server import schemas
from vaegen.server.limits import JSON, Limits
from vaegen.server.parameters import Parameter
from vaegen.server.refusals import STATUSES
from vaegen.server.workers import Clock


class Answer(NamedTuple):
    """What an endpoint answers."""

    content: bytes
    media: str
    tag: str | None = None
    """What stands for the content, where it is always the same."""
    gzipped: bytes | None = None
    """The content compressed, where that pays."""


class Job(NamedTuple):
    """One request, as its endpoint gets it."""

    asked: Mapping[str, Any]
    """The value of each parameter."""
    body: bytes
    clock: Clock


@dataclass(frozen=True)
class Endpoint:
    """One method of one path."""

    path: str
    method: Literal["GET", "POST"]
    summary: str
    details: str
    parameters: tuple[Parameter, ...]
    takes: Literal["image", "json"] | None
    """What its body is; None where it has none."""
    gives: Mapping[str, Mapping[str, Any]]
    """The JSON schema of each media type that it answers with."""
    work: Callable[[Job], Answer]
    at_once: bool = False
    """Whether it takes no time: it waits for no worker."""
    fixed: bool = False
    """Whether the same query always has the same answer, so that a client that has it need not get it again."""


def document(table: Sequence[Endpoint], limits: Limits) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, limits)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vaegen",
            "version": vaegen.__version__,
            "summary": "Colored digits from small VAEs.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "."}],  # wherever this document is
        "paths": paths,
        "components": {"responses": {str(code): _refusal(code) for code in sorted(_codes())}},
    }


def _operation(endpoint: Endpoint, limits: Limits) -> dict[str, Any]:
    answers: dict[str, Any] = {
        "200": {
            "description": "The answer.",
            "content": {media: {"schema": schema} for media, schema in endpoint.gives.items()},
        }
    }
    if endpoint.method == "GET":
        answers["304"] = {"description": "The answer is still the one whose ETag the client sent."}
    operation = {
        "operationId": endpoint.path.strip("/").removesuffix(".json") or "explore",
        "summary": endpoint.summary,
        "description": endpoint.details,
        "parameters": [parameter.described() for parameter in endpoint.parameters],
        "responses": answers | {str(code): {"$ref": f"#/components/responses/{code}"} for code in _met(endpoint)},
    }
    if endpoint.takes is not None:
        operation["requestBody"] = _body(endpoint.takes, limits)
    return operation


def _body(kind: str, limits: Limits) -> dict[str, Any]:
    if kind == "json":
        most, content = min(limits.body, JSON), {"application/json": {"schema": schemas.latents(limits.count)}}
    else:
        most, content = limits.body, {"*/*": {"schema": schemas.FILE}}
    what = "Latents" if kind == "json" else "A PNG, JPEG, BMP, GIF, WebP or TIFF file"
    return {"description": f"{what}, of at most {most} bytes.", "required": True, "content": content}


def _met(endpoint: Endpoint) -> list[int]:
    """Return the statuses of refusals that an endpoint may answer with."""
    with_body = {408, 413, 415} if endpoint.takes is not None else set()
    without = {404, 405, 408, 413, 415, *(() if not endpoint.at_once else (503, 504))}
    return sorted((_codes() - without) | with_body)


def _codes() -> set[int]:
    return {status.code for status in STATUSES.values()}


def _refusal(code: int) -> dict[str, Any]:
    kinds = [kind for kind, status in STATUSES.items() if status.code == code]
    meaning = " Or: ".join(STATUSES[kind].meaning for kind in kinds)
    return {"description": meaning, "content": {"application/json": {"schema": schemas.error(kinds)}}}
