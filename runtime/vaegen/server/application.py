"""The ASGI application: it reads a request, has it worked on, and makes a response of the answer or the error."""

import asyncio
import functools
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import vaegen
from vaegen.errors import BundleError, RequestError, VaegenError, quoted, shown, spelled
from vaegen.model import Model
from vaegen.process import import_onnxruntime
from vaegen.server.endpoints import JSON, Endpoints
from vaegen.server.limits import JSON as MAX_JSON
from vaegen.server.limits import Limits
from vaegen.server.openapi import Answer, Endpoint, Job
from vaegen.server.parameters import prefers_json, read_query
from vaegen.server.refusals import RefusedError, refuse, response
from vaegen.server.workers import Clock, GoneError, Workers, busy

PIECE = 2**16  # bytes of an answer that are sent at a time: a client that does not read holds no more
GONE = 499  # what a log says of a client that went away, as nginx has it
EVERYBODY = "*"

_log = logging.getLogger("vaegen.server")


def app(
    models: Sequence[Model],
    limits: Limits | None = None,
    *,
    hosts: Sequence[str] | None = None,
    origins: Sequence[str] = (),
) -> ASGIApp:
    """Return the application.

    Args:
        models: What it serves, by their names; `vaegen.DEFAULT_MODEL`, or else the first, answers where none is named.
        limits: What requests may take; None for the defaults.
        hosts: Names that the header Host may have, without a port; None for any. A server that only this machine
            should reach needs them: without, a page from elsewhere reaches it under a name of its own (DNS rebinding).
        origins: Origins whose pages may read answers (CORS), such as "https://example.org"; "*" for all.

    Raises:
        RequestError: There is no model, two have the same name, or a limit is below 1.
    """
    named = {model.spec.name: model for model in models}
    if not named or len(named) < len(models):
        names = ", ".join(model.spec.name for model in models)
        raise RequestError(f"the models to serve are {names or 'none'}; give at least one, and no name twice")
    limits = limits or Limits()
    for name, value in vars(limits).items():
        if value < (0 if name == "queue" else 1):
            raise RequestError(f"the limit {name} is {value}; give at least {0 if name == 'queue' else 1}")
    return Door(_application(named, limits), hosts, origins)


def _application(models: Mapping[str, Model], limits: Limits) -> Starlette:
    workers = Workers(limits)
    endpoints = Endpoints(models, limits, workers)
    desk = Desk(limits, workers, _identity(models))
    routes = [
        Route(one.path, functools.partial(desk.answer, one), methods=[one.method], name=one.path)
        for one in endpoints.table
    ]

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[None]:
        yield
        workers.close()

    handlers = {HTTPException: _not_routed, VaegenError: _refused, GoneError: _gone, Exception: _failed}
    application = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    application.router.redirect_slashes = False
    return application


def _identity(models: Mapping[str, Model]) -> str:
    """Return what stands for all that answers depend on, beside the request."""
    parts = [vaegen.__version__, import_onnxruntime().__version__]
    for name, model in models.items():
        parts += [name, repr(model.spec), *model.manifest.digests]
    return "\n".join(parts)


class Desk:
    """Where each request is read, handed to a worker and answered."""

    def __init__(self, limits: Limits, workers: Workers, identity: str) -> None:
        self._limits = limits
        self._workers = workers
        self._identity = identity
        self._held = 0  # bytes of all bodies

    async def answer(self, endpoint: Endpoint, request: Request) -> Response:
        """Answer one request; raises VaegenError, or GoneError where nobody waits any longer."""
        try:
            return await self._answer(endpoint, request)
        except asyncio.CancelledError as error:  # the server is stopping, and its grace has ended
            raise RefusedError("Busy", "the server is stopping", {"Connection": "close"}) from error

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        clock = Clock(self._limits.seconds)
        query = request.scope["query_string"]
        asked = read_query(query, endpoint.parameters)
        vary = []
        if len(endpoint.gives) > 1:
            vary.append("Accept")
            asked["format"] = asked["format"] or ("json" if prefers_json(request.headers.get("accept", "")) else "png")
        tag = self._tag(endpoint, query, asked["format"]) if endpoint.fixed else None
        if _has(request, tag):
            return _unchanged(tag, vary)
        if endpoint.at_once:
            answer = _work(endpoint, Job(asked, b"", clock))
        else:
            async with self._body(endpoint, request, clock) as body:
                gone = asyncio.ensure_future(_until_gone(request))
                try:
                    work = functools.partial(_work, endpoint, Job(asked, body, clock))
                    answer = await self._workers.do(clock, gone, work)
                finally:
                    gone.cancel()
        tag = tag or answer.tag
        if _has(request, tag):
            return _unchanged(tag, vary)
        return _response(request, endpoint, answer, tag, vary)

    def _tag(self, endpoint: Endpoint, query: bytes, form: str) -> str:
        """Return what stands for the answer to a query; another machine's may differ by 1/255."""
        what = f"{self._identity}\n{endpoint.path}\n{form}\n".encode() + query
        return hashlib.sha256(what).hexdigest()[:32]

    @asynccontextmanager
    async def _body(self, endpoint: Endpoint, request: Request, clock: Clock) -> AsyncIterator[bytes]:
        """Yield what is sent, and count it as long as it is needed; raises RefusedError."""
        body = bytearray()
        try:
            if endpoint.takes is not None:
                _check_kind(request, endpoint.takes)
                most = self._limits.body if endpoint.takes == "image" else min(self._limits.body, MAX_JSON)
                if int(request.headers.get("content-length", 0)) > most:
                    raise _too_large(most)
                try:
                    async with asyncio.timeout(clock.left):
                        async for part in request.stream():
                            body += part
                            self._held += len(part)
                            if len(body) > most:
                                raise _too_large(most)
                            if self._held > self._limits.bodies:
                                raise busy()
                except TimeoutError as error:
                    reason = f"the body did not come within {self._limits.seconds:g} seconds"
                    raise RefusedError("TooSlow", reason, {"Connection": "close"}) from error
                except ClientDisconnect as error:
                    raise GoneError from error
            yield bytes(body)
        finally:
            self._held -= len(body)


def _work(endpoint: Endpoint, job: Job) -> Answer:
    """Answer, with messages that spell settings as a query has them."""
    with spelled("query"):
        return endpoint.work(job)


def _check_kind(request: Request, takes: str) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if takes == "json" and kind != JSON:
        raise RefusedError("UnsupportedMediaType", f"the body is {kind or 'of no type'}; send {JSON}")
    if kind.startswith("multipart/"):
        raise RefusedError("UnsupportedMediaType", "the body is a form; send the bytes of the image alone")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise RefusedError("UnsupportedMediaType", f"the body is encoded as {quoted(encoding)}; send it as it is")


def _too_large(most: int) -> RefusedError:
    return RefusedError("TooLarge", f"the body is larger than the {most} bytes that this path takes")


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _has(request: Request, tag: str | None) -> bool:
    """Return whether the client says that it has the answer of a tag (RFC 9110, 13.1.2)."""
    known = re.findall(r'"([^"]*)"', request.headers.get("if-none-match", ""))
    return tag is not None and request.method in ("GET", "HEAD") and tag in known


def _unchanged(tag: str | None, vary: Sequence[str]) -> Response:
    return Response(None, 304, _caching(tag, vary))


def _response(request: Request, endpoint: Endpoint, answer: Answer, tag: str | None, vary: Sequence[str]) -> Response:
    content, headers = answer.content, {"Content-Type": answer.media}  # to a media_type Starlette would add a charset
    if answer.gzipped is not None:
        vary = [*vary, "Accept-Encoding"]
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            content, headers = answer.gzipped, headers | {"Content-Encoding": "gzip"}
    if endpoint.method == "GET":
        headers |= _caching(tag, vary)
    return Pieces(content, headers=headers)


def _caching(tag: str | None, vary: Sequence[str]) -> dict[str, str]:
    """Return the headers by which a client may keep an answer, and ask whether it is still the same."""
    headers = {"Cache-Control": "no-store"} if tag is None else {"Cache-Control": "no-cache", "ETag": f'W/"{tag}"'}
    return {**headers, "Vary": ", ".join(vary)} if vary else headers


def _takes_gzip(accept: str) -> bool:
    options = re.sub(r"\s", "", accept.lower()).split(",")
    return any(re.fullmatch(r"gzip(;q=(1(\.0*)?|0\.0*[1-9]\d*))?", option) for option in options)


class Pieces(Response):
    """A response that is sent piece by piece, each when the client has taken most of those before it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002, ASGI's signature
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        for at in range(0, max(len(body), 1), PIECE):
            more = at + PIECE < len(body)
            await send({"type": "http.response.body", "body": body[at : at + PIECE], "more_body": more})


class Door:
    """What every request goes through: the check of its Host, the headers of each response, and the log."""

    def __init__(self, inside: ASGIApp, hosts: Sequence[str] | None, origins: Sequence[str]) -> None:
        self._inside = inside
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        request = Request(scope)
        added = [(b"x-content-type-options", b"nosniff"), *self._sharing(request)]
        began, status, sent = time.perf_counter(), 0, 0

        async def send_on(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *added]}
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await (self._wrong_host(request) or self._inside)(scope, receive, send_on)
        finally:
            client = request.client.host if request.client else "-"
            target = (scope.get("raw_path") or scope["path"].encode()) + b"?" * bool(scope["query_string"])
            target += scope["query_string"]
            milliseconds = 1000 * (time.perf_counter() - began)
            text = shown(target.decode("latin-1"))
            _log.info("%s %s %s %d %d B %.1f ms", client, request.method, text, status, sent, milliseconds)

    def _wrong_host(self, request: Request) -> Response | None:
        if self._hosts is None:
            return None
        host = request.headers.get("host", "")
        if re.sub(r":\d*$", "", host.lower()).strip("[]") in self._hosts:
            return None
        message = f"this server does not answer for the host {quoted(host)}; whoever runs it can allow the name"
        return response("WrongHost", message)

    def _sharing(self, request: Request) -> list[tuple[bytes, bytes]]:
        """Return the headers that let pages of other origins read an answer (CORS)."""
        if not self._origins:
            return []
        shared, origin = [], request.headers.get("origin", "")
        if EVERYBODY in self._origins:
            shared = [(b"access-control-allow-origin", b"*")]
        else:
            shared = [(b"vary", b"Origin")]
            if origin in self._origins:
                shared.append((b"access-control-allow-origin", origin.encode("latin-1")))
        if request.method == "OPTIONS":
            shared += [
                (b"access-control-allow-methods", b"GET, HEAD, POST"),
                (b"access-control-allow-headers", b"Content-Type"),
                (b"access-control-max-age", b"600"),
            ]
        return shared


async def _refused(_request: Request, error: Exception) -> Response:
    if isinstance(error, BundleError):
        _log.error("%s", error)
        return response("BundleError", "the model cannot be used; the server's log says why")
    if not isinstance(error, VaegenError):
        raise TypeError(error)
    return refuse(error)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=GONE)


async def _not_routed(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    if error.status_code != 405:
        return response("NotFound", f"there is no path {quoted(request.url.path)}; see /openapi.json")
    methods = ", ".join(sorted({"OPTIONS", *(error.headers or {}).get("Allow", "").split(", ")}))
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": methods})
    reason = f"{request.url.path} does not know {quoted(request.method)}; choose from {methods}"
    return response("MethodNotAllowed", reason, {"Allow": methods})


async def _failed(_request: Request, _error: Exception) -> Response:
    return response("InternalError", "the server failed; its log says why")
