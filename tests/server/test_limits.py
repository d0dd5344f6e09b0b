"""What the server refuses, what it survives, and how it ends."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra 'serve'")

import vaegen
from vaegen.server import Limits, app, is_local

from tests.security.test_pictures import png, saved, unfolding
from tests.server.conftest import SECONDS, TINY, Server, Start, ask

JSON = {"Content-Type": "application/json"}
# So hot that the judge accepts nothing: each image takes all its tries.
SLOW = "/sample?temperature=10&tries=1000&format=json&count="

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def busy(server: Server, wanted: int) -> None:
    """Wait until so many requests are worked on or waiting."""
    wait_for(lambda: server.ask("/health").json["busy"] == wanted)


def latents(text: str) -> bytes:
    return f'{{"latents": {text}}}'.encode()


@pytest.mark.parametrize(
    ("target", "body", "headers", "status", "kind", "words"),
    [
        ("/nowhere", None, {}, 404, "NotFound", "no path '/nowhere'; see /openapi.json"),
        ("/../etc/passwd", None, {}, 404, "NotFound", "no path"),
        ("/sample/", None, {}, 404, "NotFound", "no path"),
        ("/sample", b"", {}, 405, "MethodNotAllowed", "'POST'; choose from GET, HEAD, OPTIONS"),
        ("/encode", None, {}, 405, "MethodNotAllowed", "'GET'; choose from OPTIONS, POST"),
        ("/sample?colour=red", None, {}, 422, "RequestError", "unknown parameter 'colour'; choose from digit, color,"),
        ("/health?x=1", None, {}, 422, "RequestError", "unknown parameter 'x'; this path takes none"),
        ("/sample?color=gren", None, {}, 422, "RequestError", "unknown color 'gren'; did you mean green"),
        ("/sample?digit=12", None, {}, 422, "RequestError", "digit '12' does not exist; choose from 0 to 9"),
        ("/sample?color=black", None, {}, 422, "RequestError", "too dark"),
        ("/sample?seed=-1", None, {}, 422, "RequestError", "seed -1 is not usable; choose an integer from 0 to"),
        ("/sample?seed=" + "9" * 5000, None, {}, 422, "RequestError", "seed '999"),
        (
            "/sample?slant=90",
            None,
            {},
            422,
            "RequestError",
            "slant 90.0 is not usable; choose a number from -60 to 60 d",
        ),
        ("/sample?temperature=0", None, {}, 422, "RequestError", "choose a number above 0, at most 10"),
        ("/sample?model=../tiny", None, {}, 422, "RequestError", "unknown model '../tiny'; choose from tiny"),
        ("/sample?model=", None, {}, 422, "RequestError", "unknown model ''"),
        ("/sample?seed=1&seed=2", None, {}, 422, "RequestError", "seed is given 2 times; give it once"),
        ("/sample?count=2", None, {}, 422, "RequestError", "2 images do not fit in one PNG file; add grid=true or"),
        ("/sample?count=41&grid=true", None, {}, 422, "RequestError", "count 41 is not usable"),
        (
            "/sample?digit=0-4&count=9&grid=true",
            None,
            {},
            422,
            "RequestError",
            "45 images are too many for this server",
        ),
        ("/sample?grid=true&format=json", None, {}, 422, "RequestError", "grid=true makes one PNG file"),
        ("/sample?grid=true&count=9&scale=64", None, {}, 422, "RequestError", "16777216 pixels; lower scale"),
        ("/sample?color=" + ",,(" * 2500, None, {}, 422, "RequestError", "unknown color ''"),
        ("/sample?" + "x" * 9000, None, {}, 414, "QueryTooLong", "the query has 9000 bytes; it may have 8192"),
        ("/sample?color=%ff", None, {}, 400, "BadRequest", "percent-encoded UTF-8"),
        ("/sample?digit", None, {}, 400, "BadRequest", "name=value"),
        ("/reconstruct", b"", {}, 422, "ImageError", "cannot read the image: not a PNG, JPEG"),
        ("/encode", b"GIF89a", {}, 422, "ImageError", "cannot read the image: damaged"),
        ("/encode", b"x" * (2**20 + 1), {}, 413, "TooLarge", "larger than the 1048576 bytes"),
        ("/encode", b"x", {"Content-Type": "multipart/form-data; boundary=y"}, 415, "UnsupportedMediaType", "a form"),
        ("/encode", b"x", {"Content-Encoding": "gzip"}, 415, "UnsupportedMediaType", "encoded as 'gzip'"),
        ("/decode", latents("[{}]"), {}, 415, "UnsupportedMediaType", "of no type; send application/json"),
        ("/decode", b"[", JSON, 400, "BadRequest", "the body is not JSON"),
        ("/decode", b"\xff", JSON, 400, "BadRequest", "the body is not JSON"),
        ("/decode", b"[" * 10**6, JSON, 422, "RequestError", "999998 latents are too many for this server"),
        ("/decode", latents("[" + "[]," * 10**5 + "[]]"), JSON, 422, "RequestError", "100001 latents are too many"),
        ("/decode", latents("[[NaN]]"), JSON, 400, "BadRequest", "the body is not JSON: NaN"),
        ("/decode", latents("[[" + "9" * 5000 + "]]"), JSON, 400, "BadRequest", "the body is not JSON"),
        ("/decode", b"[]", JSON, 422, "RequestError", 'the body must be {"latents": [...]}'),
        ("/decode", b'{"latents": [{}], "path": "/"}', JSON, 422, "RequestError", "and nothing else"),
        ("/decode", latents("[]"), JSON, 422, "RequestError", "there are no latents"),
        ("/decode", latents("[[1, 2]]"), JSON, 422, "RequestError", "shape (1, 2); it must be (n, 23)"),
        ("/decode?format=json", latents("[[1], [1, 2]]"), JSON, 422, "RequestError", "rows of 23 finite numbers"),
        ("/decode", latents("[[" + "1e999," * 22 + "0]]"), JSON, 422, "RequestError", "finite numbers within 1e+06"),
        ("/decode", latents('["digit=3"]'), JSON, 422, "RequestError", "neither a list of numbers nor an object"),
        ("/decode", latents("[[true]]"), JSON, 422, "RequestError", "neither a list"),
        ("/decode", latents('[{"digit": 12}]'), JSON, 422, "RequestError", "digit 12 is not usable"),
        ("/decode", latents('[{"digt": 1}]'), JSON, 422, "RequestError", "unknown latent 'digt'; choose from"),
        ("/decode?grid=true", latents("[" + "{}," * 40 + "{}]"), JSON, 422, "RequestError", "41 latents are too many"),
    ],
)
def test_a_refusal_is_one_line_in_one_form(
    server: Server, target: str, body: bytes | None, headers: Mapping[str, str], status: int, kind: str, words: str
) -> None:
    answer = server.ask(target, body, headers)
    message = answer.error[2]
    assert answer.error[:2] == (status, kind), message
    assert words in message
    assert message.isprintable()
    assert len(message) < 400
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_methods(server: Server) -> None:
    for method in ("PUT", "DELETE", "TRACE", "BREW"):
        answer = server.ask("/sample", method=method)
        assert answer.error[:2] == (405, "MethodNotAllowed")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    answer = server.ask("/encode", method="OPTIONS")
    assert (answer.status, answer.body, answer.headers["allow"]) == (204, b"", "OPTIONS, POST")
    assert server.ask("/nowhere", method="OPTIONS").status == 404
    assert server.ask("/nowhere", method="HEAD").body == b""


@pytest.mark.parametrize(
    "image",
    [
        png(width=60_000, height=60_000),
        saved("PNG", 1100, 1000),
        b"\x89PNG\r\n\x1a\n" + unfolding(),
        b"II*\0" + struct.pack("<L", 8) + struct.pack("<H", 2**16 - 1),
    ],
    ids=["size", "more than --max-pixels", "zlib", "tiff"],
)
def test_bombs(server: Server, image: bytes) -> None:
    begin = rss(server)
    for path in ("/reconstruct", "/encode"):
        assert server.ask(path, image).error[:2] == (422, "ImageError")
    assert rss(server) - begin < 50 * 2**20


def rss(server: Server) -> int:
    """Bytes that the server has in memory; 0 where that is not told."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        return 0
    return 1024 * int(status.read_text().partition("VmRSS:")[2].split()[0])


# --- bytes that no client would send ----------------------------------------------------------------------------------


def raw(server: Server, *parts: bytes, pause: float = 0.05) -> bytes:
    """Send bytes, part by part, and return all that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause if len(parts) > 1 else 0)
        return b"".join(iter(lambda: connection.recv(2**16), b""))


def head(*lines: str, first: str = "POST /encode HTTP/1.1", close: bool = True) -> bytes:
    return "\r\n".join([first, "Host: localhost", *["Connection: close"] * close, *lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "data",
    [
        b"\0\1\2\3\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        head(first="GET /health HTTP/1.1\r\nX: a\rb"),
        head("Host: other", first="GET /health HTTP/1.1"),
        head("X: a\0b", first="GET /health HTTP/1.1"),
        head(first="GET /he alth HTTP/1.1"),
        head(first="GET /health\x85 HTTP/1.1"),
        head("X: " + "y" * 20_000, first="GET /health HTTP/1.1")[:-4],
        head("Content-Length: 3", "Content-Length: 4") + b"abcd",
        head("Content-Length: -1") + b"abcd",
        head("Content-Length: " + "9" * 5000) + b"abcd",
        head("Content-Length: 1e3") + b"abcd",
        head("Content-Length: 4", "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + b"abcd",
        head("Transfer-Encoding: gzip") + b"abcd",
        b"GET /health HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_in_the_same_form(server: Server, data: bytes) -> None:
    answer = raw(server, data)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "BadRequest"
    assert answer.count(b"HTTP/1.1 400") == 1


def test_a_split_header_stays_in_its_place(server: Server) -> None:
    answer = server.ask("/sample?color=red%0d%0aSet-Cookie:%20x=1%0d%0a%0d%0a&digit=3")
    assert answer.error[0] == 422
    assert "set-cookie" not in answer.headers
    assert "\\r\\n" in answer.error[2]
    wait_for(lambda: b"red%0d%0a" in server.log.read_bytes())
    server.ask("/%0d%0a127.0.0.1%20GET%20/forged")
    wait_for(lambda: b" /%0d%0a127" in server.log.read_bytes())
    assert not [line for line in server.log.read_text().splitlines() if " /forged" in line and "%0d" not in line]


def test_bodies_that_break_off_or_break_the_rules(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as connection:
        connection.sendall(head("Content-Length: 100") + b"abc")
        busy(server, 0)
    chunked = head("Transfer-Encoding: chunked")
    for wrong in (b"zz\r\nabc\r\n", b"3\r\nabcX\r\n", b"-3\r\nabc\r\n", b"3;" + b"x" * 20_000):
        assert raw(server, chunked + wrong).startswith(b"HTTP/1.1 400 ")
    assert raw(server, chunked + b"3\r\nabc\r\n0\r\n\r\n").startswith(b"HTTP/1.1 422 ")
    # A second request in the body of the first is no request.
    inside = head(first="GET /health HTTP/1.1")
    answer = raw(server, head(f"Content-Length: {len(inside)}") + inside)
    assert (answer.count(b"HTTP/1.1 "), b'"status"' in answer) == (1, False)
    assert raw(server, head(first="GET http://localhost/health HTTP/1.1")).startswith(b"HTTP/1.1 404 ")


def test_requests_one_behind_the_other(server: Server) -> None:
    one = head(first="GET /sample?digit=3&seed=1 HTTP/1.1", close=False)
    answer = raw(server, one + one + head(first="GET /health HTTP/1.1"))
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.count(server.ask("/sample?digit=3&seed=1").body) == 2


def test_a_large_body_is_refused_before_it_comes_and_while_it_comes(server: Server) -> None:
    connection = server.connect()
    answer = ask(connection, "/encode", bytes(20 * 2**20))
    assert answer.error[:2] == (413, "TooLarge")
    assert ask(connection, "/health").status == 200  # on the same connection
    parts = (bytes(2**16) for _ in range(40))
    connection.request("POST", "/encode", parts, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().status == 413
    connection.close()


# --- who may ask ------------------------------------------------------------------------------------------------------


def test_only_this_machine_s_names_are_answered(server: Server, start: Start) -> None:
    for host in ("127.0.0.1", "localhost:1", f"LOCALHOST:{server.port}", "[::1]:80"):
        assert server.ask("/health", headers={"Host": host}).status == 200
    for host in ("digits.example.org", "127.0.0.1.example.org", "127.0.0.1@example.org", "", "[::1", "localhost:x"):
        assert server.ask("/health", headers={"Host": host}).error[:2] == (421, "WrongHost"), host
    with start("--allow-host", "digits.example.org") as other:
        assert other.ask("/health", headers={"Host": "Digits.example.org:8000"}).status == 200
        assert other.ask("/health").status == 421


def test_pages_of_other_origins(server: Server, start: Start) -> None:
    origin = {"Origin": "https://example.org"}
    assert not [name for name in server.ask("/health", headers=origin).headers if name.startswith("access-control")]
    with start("--cors", "https://example.org") as other:
        headers = other.ask("/sample?digit=3", headers=origin).headers
        assert headers["access-control-allow-origin"] == "https://example.org"
        assert other.ask("/nowhere", headers=origin).headers["access-control-allow-origin"] == "https://example.org"
        assert "access-control-allow-origin" not in other.ask("/health", headers={"Origin": "https://evil.org"}).headers
        preflight = {
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        answer = other.ask("/decode", headers=preflight, method="OPTIONS")
        assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "GET, HEAD, POST")
        assert answer.headers["access-control-allow-headers"] == "Content-Type"
    with start("--cors", "*") as other:
        assert other.ask("/health", headers=origin).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)],
)
def test_what_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_local(host) == local


# --- many, and too many -----------------------------------------------------------------------------------------------


def test_64_clients_at_once_get_the_same_bytes(server: Server) -> None:
    targets = [f"/sample?digit={digit}&color=gold&seed={digit}" for digit in range(8)]
    alone = [server.ask(target).body for target in targets]
    together = threading.Barrier(64)

    def client(number: int) -> list[tuple[int, bytes]]:
        connection = server.connect()
        together.wait(SECONDS)
        order = range(number, number + len(targets))
        answers = [(at % len(targets), ask(connection, targets[at % len(targets)])) for at in order]
        connection.close()
        assert {answer.status for _, answer in answers} == {200}
        return [(at, answer.body) for at, answer in answers]

    with ThreadPoolExecutor(64) as pool:
        results = [pair for pairs in pool.map(client, range(64)) for pair in pairs]
    assert len(results) == 512
    assert all(body == alone[at] for at, body in results)
    busy(server, 0)


def test_a_full_queue_and_an_end_to_waiting(start: Start) -> None:
    with (
        start("--workers", 1, "--queue", 1, "--max-seconds", 2, "-q") as server,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(server.ask, SLOW + "900")
        busy(server, 1)
        second = pool.submit(server.ask, SLOW + "901")
        busy(server, 2)
        refused = server.ask("/sample?digit=3")
        assert refused.error == (503, "Busy", "too many requests are waiting; try again in a second")
        assert refused.headers["retry-after"] == "1"
        late = (504, "OutOfTime", "the answer took longer than 2 seconds; ask for less")
        assert first.result(SECONDS).error == second.result(SECONDS).error == late
        busy(server, 0)  # the work has ended too
        assert server.ask("/sample?digit=3").status == 200
        assert server.log.read_text() == ""


def test_nobody_works_for_a_client_that_has_gone(start: Start) -> None:
    with start("--workers", 1, "--max-seconds", 1000) as server:
        gone = [server.connect() for _ in range(3)]
        for number, connection in enumerate(gone):
            connection.request("GET", f"{SLOW}{900 + number}")
        busy(server, 3)
        for connection in gone:
            connection.close()
        busy(server, 0)
        wait_for(lambda: server.log.read_text().count(" 499 ") == 3)


def test_a_body_that_does_not_come(start: Start) -> None:
    with start("--max-seconds", 1) as server:
        answer = raw(server, head("Content-Length: 10", close=False) + b"abc")
        assert b" 408 " in answer.splitlines()[0]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "TooSlow"
        assert b"connection: close" in answer.lower()


def test_bodies_have_an_end_together(start: Start) -> None:
    with start("--max-body", 1000) as server:
        waiting = []
        for _ in range(9):
            connection = socket.create_connection(("127.0.0.1", server.port), SECONDS)
            connection.sendall(head("Content-Length: 1000") + bytes(999))
            waiting.append(connection)
        refused = waiting[-1].recv(2**16)
        assert refused.startswith(b"HTTP/1.1 503 ")
        for connection in waiting:
            connection.close()
        busy(server, 0)
        assert server.ask("/encode", bytes(1000)).status == 422


def test_a_connection_that_asks_nothing_is_closed() -> None:
    # In a process of its own, with less patience.
    program = f"""
    import socket, threading, time
    import vaegen
    from vaegen.server import app, listen, run
    import vaegen.server.service
    vaegen.server.service.HEAD_SECONDS = 0.3
    listening = listen("127.0.0.1", 0)
    application = app([vaegen.load({str(TINY)!r})])
    threading.Thread(target=run, args=(application, listening), kwargs=dict(grace=1), daemon=True).start()
    def closed(*sent):
        with socket.create_connection(listening.getsockname(), 30) as connection:
            for part in sent:
                connection.sendall(part)
                time.sleep(0.1)
            return connection.recv(100)
    assert closed() == b""
    assert closed(b"GET /health HT") == b""
    try:
        assert closed(*[b"GET /health HTTP/1.1\\r\\n"] + [b"X: y\\r\\n"] * 50) == b""
    except (BrokenPipeError, ConnectionResetError):
        pass
    print("closed")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.stdout, done.stderr) == ("closed\n", "")


# --- the end ----------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_has_begun_is_finished(start: Start, number: int) -> None:
    with start("--workers", 1, "--grace", SECONDS) as server, ThreadPoolExecutor(2) as pool:
        connection = server.connect()
        assert ask(connection, "/health").status == 200  # and is left open
        begun = [pool.submit(server.ask, SLOW + "8") for _ in range(2)]
        busy(server, 2)
        server.process.send_signal(number)
        for one in begun:
            assert len(one.result(SECONDS).json["images"]) == 8
        assert server.process.wait(SECONDS) == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read() == b""  # after the address
        assert server.log.read_text().endswith("vaegen: stopped\n")
        with pytest.raises(ConnectionRefusedError):
            server.connect().connect()
        connection.close()


@posix
def test_what_takes_longer_than_the_grace_is_given_up(start: Start) -> None:
    with (
        start("--workers", 1, "--grace", 0, "--max-seconds", 1000) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        begun = pool.submit(server.ask, SLOW + "900")
        busy(server, 1)
        server.process.send_signal(signal.SIGTERM)
        assert begun.result(SECONDS).error == (503, "Busy", "the server is stopping")
        assert server.process.wait(SECONDS) == 0


# --- the verb, and the library ----------------------------------------------------------------------------------------


def test_a_port_in_use(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    from vaegen_cli import main

    for host, port, reason in (("127.0.0.1", server.port, "in use"), ("host.invalid", 0, "'host.invalid', port 0: ")):
        assert main(["serve", "--model", str(TINY), "--host", host, "--port", str(port)]) == 4
        line = capsys.readouterr().err
        assert line.startswith(f"vaegen: cannot listen on '{host}', port {port}: ")
        assert reason in line
        assert line.endswith("; choose another --host or --port\n")


def test_what_is_seen_from_elsewhere_is_said(tmp_path: Path) -> None:
    from tests.server.conftest import started

    with started(tmp_path / "log.txt", "--model", TINY, "--host", "0.0.0.0") as server:
        assert f"whoever reaches port {server.port} of this machine can use the server" in server.log.read_text()
        assert server.ask("/health", headers={"Host": "digits.example.org"}).status == 200


@pytest.mark.parametrize(
    ("limits", "names", "words"),
    [
        ({}, 0, "the models to serve are none; give at least one"),
        ({}, 2, "the models to serve are tiny, tiny; give at least one, and no name twice"),
        ({"count": 0}, 1, "the limit count is 0; give at least 1"),
        ({"queue": -1}, 1, "the limit queue is -1; give at least 0"),
    ],
)
def test_an_application_that_cannot_be(limits: dict[str, Any], names: int, words: str) -> None:
    with vaegen.load(TINY) as model, pytest.raises(vaegen.RequestError, match=words):
        app([model] * names, Limits(**limits))


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('none', name='starlette')")
    done = subprocess.run(
        [sys.executable, "-m", "vaegen_cli", "serve"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        timeout=SECONDS,
        check=False,
    )
    line = "vaegen: the server needs the extra 'serve' (starlette is not installed): pip install 'vaegen[serve]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
