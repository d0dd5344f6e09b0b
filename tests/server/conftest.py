"""A server of its own process on a real socket, and a client that shows all of an answer."""

import contextlib
import functools
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TINY = Path(__file__).parents[1] / "assets" / "tiny"
SECONDS = 60  # for anything to happen, on slow machines too


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """With lower-case names."""
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, type and message of an error, which has one form."""
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"type", "message"}
        return self.status, self.json["error"]["type"], self.json["error"]["message"]


@dataclass(frozen=True)
class Server:
    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def ask(
        self,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> Answer:
        with contextlib.closing(self.connect()) as connection:
            return ask(connection, target, body, headers, method)

    def stop(self) -> int:
        """Stop it as a service manager does, and return its exit code."""
        if os.name == "posix":
            self.process.send_signal(signal.SIGTERM)
        else:
            self.process.kill()
        return self.process.wait(SECONDS)


def ask(
    connection: http.client.HTTPConnection,
    target: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
) -> Answer:
    connection.request(method or ("GET" if body is None else "POST"), target, body, dict(headers or {}))
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


Start = Callable[..., AbstractContextManager[Server]]


@contextlib.contextmanager
def started(log: Path, *arguments: object) -> Iterator[Server]:
    command = [sys.executable, "-m", "vaegen_cli", "serve", "--port", "0", *map(str, arguments)]
    # A shell that runs the tests in the background has them, and so their children, ignore Ctrl-C.
    heeded = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL) if os.name == "posix" else None
    pipes = {"stdout": subprocess.PIPE, "preexec_fn": heeded}
    with log.open("wb") as errors, subprocess.Popen(command, stderr=errors, **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout is not None
            address = process.stdout.readline()
            assert address.startswith(b"http://"), log.read_text()
            yield Server(process, int(address.decode().rstrip("/\r\n").rpartition(":")[2]), log)
        finally:
            process.kill()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a server with the small bundle and some options."""
    return lambda *arguments: started(tmp_path / "log.txt", "--model", TINY, *arguments)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the small bundle with few limits, for all tests of a module."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    limits = ["--max-body", 2**20, "--max-count", 40, "--max-pixels", 2**20]
    with started(log, "--model", TINY, *limits) as running:
        yield running
