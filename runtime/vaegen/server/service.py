"""What runs the application: a socket, uvicorn, and signals."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from vaegen.errors import VaegenError, setting
from vaegen.server.refusals import content

LOCAL = ("127.0.0.1", "::1", "localhost")
"""What a server that only this machine can reach is called."""

HEAD = 2**14  # bytes of a request's first line and headers
HEAD_SECONDS = 10  # for a request to come, on a connection that has none; then it is closed within as many again
BACKLOG = 1024  # connections that the system keeps until they are taken


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: A name or an address.
        port: 1 to 65535; 0 for any that is free.

    Raises:
        VaegenError: The name is unknown, or the port is not to be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere it would let two servers have one port
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
        except BaseException:
            listening.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VaegenError(
            f"cannot listen on {host!r}, port {port}: {reason}; choose another {setting('host')} or {setting('port')}"
        ) from error
    return listening


def is_local(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def address(listening: socket.socket) -> str:
    """Return the address to give to a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def run(application: ASGIApp, listening: socket.socket, *, grace: int) -> None:
    """Serve until SIGINT or SIGTERM comes; a second one ends the program as if there were no server.

    Args:
        application: What answers.
        listening: As `listen` returns it; closed in the end.
        grace: Seconds that requests which have begun may still take.
    """
    config = uvicorn.Config(
        application,
        http=Protocol,
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=grace,
        h11_max_incomplete_event_size=HEAD,
        backlog=BACKLOG,
    )
    Server(config).run([listening])


class Server(uvicorn.Server):
    """A server that ends quietly: uvicorn's own sends itself the signal once more."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """For the time of a `with`, stop at a signal, unless the program ignores it."""
        before: dict[int, Any] = {}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def stop(_number: int, _frame: FrameType | None) -> None:
            restore()
            self.should_exit = True

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, stop)
        try:
            yield
        finally:
            restore()


class Protocol(H11Protocol):
    """HTTP/1.1 with an end to waiting for a request, and with errors in the server's form."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._look, None)

    def _look(self, seen: object) -> None:
        """Close a connection on which nothing was asked since the last look."""
        if self.transport.is_closing():
            return
        if self.cycle is seen and (self.cycle is None or self.cycle.response_complete):
            self.timeout_keep_alive_handler()
        else:
            self.loop.call_later(HEAD_SECONDS, self._look, self.cycle)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002, uvicorn's signature
        """Refuse what is not a request; where an answer has begun, the connection ends."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = content("BadRequest", f"this is no HTTP/1.1 request, or its head has more than {HEAD} bytes")
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            for event in (
                h11.Response(status_code=400, headers=headers, reason="Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
