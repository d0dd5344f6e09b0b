"""How a request is refused: a status, and JSON of one form."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response

from vaegen.errors import VaegenError


class Status(NamedTuple):
    """A refusal's HTTP status, and what it means."""

    code: int
    meaning: str


STATUSES = {
    "BadRequest": Status(400, "The query or the body cannot be read."),
    "NotFound": Status(404, "There is no such path."),
    "MethodNotAllowed": Status(405, "The path has other methods; the header Allow lists them."),
    "TooSlow": Status(408, "The body did not come in time."),
    "TooLarge": Status(413, "The body is too large."),
    "QueryTooLong": Status(414, "The query is too long."),
    "UnsupportedMediaType": Status(415, "The body is of another type than this path takes."),
    "WrongHost": Status(421, "The server does not answer for this Host."),
    "RequestError": Status(422, "A parameter or latent is unknown or out of range."),
    "ImageError": Status(422, "The image cannot be read, or is refused as unsafe."),
    "InternalError": Status(500, "The server failed; its log says why."),
    "BundleError": Status(500, "The model cannot be used."),
    "Busy": Status(503, "Too many requests are waiting; try again in a second."),
    "OutOfTime": Status(504, "The answer took too long; ask for less."),
}
"""By the type that the JSON names."""


class RefusedError(VaegenError):
    """A request that is not answered, for a reason that the library does not know."""

    def __init__(self, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.headers = dict(headers or {})


def refuse(error: VaegenError) -> Response:
    """Return the response that stands for an error."""
    if isinstance(error, RefusedError):
        return response(error.kind, str(error), error.headers)
    kind = type(error).__name__
    return response(kind if kind in STATUSES else "InternalError", str(error))


def response(kind: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal as a response."""
    return Response(content(kind, message), STATUSES[kind].code, headers, "application/json")


def content(kind: str, message: str) -> bytes:
    """Return a refusal as JSON."""
    return json.dumps({"error": {"type": kind, "message": message}}).encode()
