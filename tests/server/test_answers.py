"""What the server answers: the command line's own bytes, and what its description promises."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="needs the extra 'serve'")

from vaegen.server import Limits
from vaegen_cli import main

from tests.server.conftest import TINY, Server, ask

Write = Callable[..., bytes]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Run the command line, and return the one file that it writes."""

    def run(verb: str, *arguments: object) -> bytes:
        out = tmp_path / "out"
        target = [out / "x.png"] if verb == "reconstruct" else ["-o", out / "x.png"]
        out.mkdir(exist_ok=True)
        options = ["--model", TINY, "--force", "-q"]
        assert main([verb, *map(str, arguments), *map(str, target), *map(str, options)]) == 0
        return (out / "x.png").read_bytes()

    return run


def picture(kind: str = "PNG", **options: Any) -> bytes:
    """A digit, more or less."""
    pixels = np.zeros((60, 50, 3), np.uint8)
    pixels[10:50, 20:28] = 250, 120, 30
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def query(**parameters: object) -> str:
    return urlencode({name: value for name, value in parameters.items() if value is not None})


@pytest.mark.parametrize(
    "asked",
    [
        {"digit": 3, "color": "red"},
        {"digit": 3, "color": "hsl(30,100%,50%)", "seed": 2**64 - 1, "start": 7, "tries": 1, "temperature": 0.5},
        {"digit": 8, "color": "#FF8000", "slant": -12.5, "thickness": 2, "hand": 7, "scale": 3, "tries": 1},
        {},
        {"color": "teal", "seed": 5},
        {"digit": 8, "color": "teal", "best": 5},
    ],
)
def test_a_sample_is_the_file_of_the_command_line(server: Server, written: Write, asked: dict[str, Any]) -> None:
    options = [str(word) for name, value in asked.items() for word in (f"--{name}", value)]
    answer = server.ask(f"/sample?{query(**asked)}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert answer.body == written("sample", *options)


def test_a_sheet_is_the_file_of_the_command_line(server: Server, written: Write) -> None:
    target = "/sample?digit=0-2,7&digit=4&color=red,rgb(0,128,255)&count=3&grid=true&scale=2"
    options = ["--digit", "0-2,7", "--digit", 4, "--color", "red,rgb(0,128,255)", "--count", 3, "--grid", "--scale", 2]
    assert server.ask(target).body == written("sample", *options)


def test_json_of_many_holds_the_files_and_what_the_command_line_tells(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--digit",
        "0-9",
        "--color",
        "red",
        "--count",
        2,
        "--start",
        3,
        "--model",
        TINY,
        "--json",
        "-o",
        tmp_path,
    ]
    assert main(["sample", *map(str, options)]) == 0
    told = json.loads(capsys.readouterr().out)
    files = [Path(image.pop("file")).read_bytes() for image in told["images"]]
    # Longer than the server draws between two looks at its clock.
    for target, headers in (("&format=json", {}), ("", {"Accept": "application/json"})):
        answer = server.ask(f"/sample?digit=0-9&color=red&count=2&start=3{target}", headers=headers).json
        assert [base64.b64decode(image.pop("png")) for image in answer["images"]] == files
        assert answer == told


def test_many_images_are_the_same_as_one_by_one(server: Server) -> None:
    # So many tries that the server draws sixteen images between two looks at its clock.
    many = server.ask("/sample?digit=3&color=red&count=40&tries=1000&seed=1&format=json").json["images"]
    for index in (0, 15, 16, 39):
        one = server.ask(f"/sample?digit=3&color=red&tries=1000&seed=1&start={index}").body
        assert base64.b64decode(many[index]["png"]) == one


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 80}), ("WEBP", {})])
@pytest.mark.parametrize("flags", [{}, {"stochastic": True, "seed": 3}, {"intake": "as-is"}])
def test_a_reconstruction_is_the_file_of_the_command_line(
    server: Server, written: Write, tmp_path: Path, kind: str, options: dict[str, Any], flags: dict[str, Any]
) -> None:
    image = tmp_path / "in"
    image.write_bytes(picture(kind, **options))
    words = ["--stochastic", "--seed", 3] if "seed" in flags else [f"--{name}={value}" for name, value in flags.items()]
    wanted = written("reconstruct", image, *words)
    target = f"/reconstruct?{query(**flags).replace('True', 'true')}"
    assert server.ask(target, image.read_bytes()).body == wanted
    told = server.ask(target, image.read_bytes(), {"Accept": "application/json"}).json
    assert base64.b64decode(told["png"]) == wanted
    assert told["unlike"] == (told["mae"] > 0.04)


def test_advice_is_spelled_as_a_query_has_it(server: Server) -> None:
    pixels = np.full((200, 200, 3), 255, np.uint8)
    pixels[40:160, 40:50] = pixels[40:160, 150:160] = 0  # two ones on a sheet
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    assert server.ask("/reconstruct", stream.getvalue()).error[2].endswith("or intake=as-is reads it as it is")
    assert server.ask("/reconstruct?intake=as-is", stream.getvalue()).status == 200
    assert server.ask("/sample?tries=8&best=8").error[2] == "tries and best exclude each other; choose one"


def test_latents_go_there_and_back_as_on_the_command_line(
    server: Server, written: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, lines = tmp_path / "in.png", tmp_path / "latents.jsonl"
    image.write_bytes(picture())
    assert main(["encode", str(image), "--model", str(TINY), "--posterior", "-q"]) == 0
    lines.write_text(capsys.readouterr().out)
    told = json.loads(lines.read_text())
    answer = server.ask("/encode?posterior=true", image.read_bytes()).json
    assert {name: part[0] for name, part in answer.items() if name not in ("model", "intake", "latents")} == {
        name: part for name, part in told.items() if name not in ("name", "latent")
    }
    assert answer["latents"] == [told["latent"]]
    assert server.ask("/encode", image.read_bytes()).json["latents"] == answer["latents"]
    body = json.dumps({"latents": answer["latents"]}).encode()
    assert server.ask("/decode?scale=2", body, JSON).body == written("decode", lines, "--scale", 2)


def test_latents_by_name(server: Server, written: Write) -> None:
    body = json.dumps({"latents": [{"digit": 3, "red": 1.5}, {}, [0.5] * 23]}).encode()
    images = server.ask("/decode?format=json", body, JSON).json["images"]
    assert len(images) == 3
    pixels = [np.array(Image.open(BytesIO(base64.b64decode(image["png"])))) for image in images]
    by_name = Image.open(BytesIO(written("decode", "--latent", "digit=3,red=1.5")))
    np.testing.assert_array_equal(pixels[0], by_name)
    sheet = Image.open(BytesIO(server.ask("/decode?grid=true", body, JSON).body))
    np.testing.assert_array_equal(np.array(sheet)[:28, 28:56], pixels[1])


def test_the_page_is_the_explorer(server: Server) -> None:
    from vaegen.explorer import explorer_page

    answer = server.ask("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html")
    assert answer.body == explorer_page([TINY])
    compressed = server.ask("/openapi.json", headers={"Accept-Encoding": "br, gzip"})
    assert compressed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(compressed.body) == server.ask("/openapi.json").body
    assert "content-encoding" not in server.ask("/openapi.json", headers={"Accept-Encoding": "gzip;q=0"}).headers


@pytest.mark.parametrize("target", ["/", "/sample?digit=3", "/models", "/openapi.json"])
def test_what_a_client_has_is_not_sent_again(server: Server, target: str) -> None:
    first = server.ask(target)
    assert first.headers["cache-control"] == "no-cache"
    again = server.ask(target, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert server.ask(target, headers={"If-None-Match": 'W/"0"'}).body == first.body
    head = server.ask(target, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(first.body))


def test_another_request_has_another_tag(server: Server) -> None:
    targets = ["/sample?digit=3", "/sample?digit=4", "/sample?digit=3&format=json"]
    assert len({server.ask(target).headers["etag"] for target in targets}) == 3
    assert server.ask("/health").headers["cache-control"] == "no-store"
    assert "etag" not in server.ask("/encode", picture()).headers


def test_answers_need_no_new_connection(server: Server) -> None:
    connection = server.connect()
    for target, body in (("/health", None), ("/sample?digit=99", None), ("/reconstruct", b"x"), ("/nowhere", None)):
        ask(connection, target, body)
    first = connection.sock
    assert ask(connection, "/health").json["busy"] == 0
    assert connection.sock is first is not None
    connection.close()


# --- the description ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    return server.ask("/openapi.json").json


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a value is what a JSON schema says, of the words that the server uses."""
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "number": (int, float),
        "integer": int,
    }
    known = {"type", "enum", "const", "properties", "required", "additionalProperties", "items", "anyOf", "minItems"}
    known |= {"maxItems", "description", "contentEncoding", "contentMediaType", "format"}
    assert set(schema) <= known, schema
    named = schema.get("type", [])
    if isinstance(named, str):
        named = [named]
    if value is None:
        return "null" in named
    if named and not any(name != "null" and isinstance(value, kinds[name]) for name in named):
        return False
    if isinstance(value, bool) and named and "boolean" not in named:
        return False
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return False
    if isinstance(value, dict) and "properties" in schema:
        inside = schema["properties"]
        return (
            set(schema["required"]) <= set(value) <= set(inside)
            and schema["additionalProperties"] is False
            and all(fits(part, inside[name]) for name, part in value.items())
        )
    if isinstance(value, list):
        return all(fits(part, schema["items"]) for part in value)
    return True


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_description_names_every_path_and_each_refusal(server: Server, document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    names = {f"{method} {path}" for path, method, _ in operations(document)}
    assert names == {
        *("get /sample", "post /reconstruct", "post /encode", "post /decode"),
        *("get /models", "get /health", "get /openapi.json", "get /"),
    }
    identities = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(identities)) == len(identities)
    responses = document["components"]["responses"]
    for _, _, operation in operations(document):
        for code, one in operation["responses"].items():
            if "$ref" in one:
                assert one["$ref"] == f"#/components/responses/{code}"
                assert code in responses
    for target, status in (("/sample?x=1", 422), ("/nowhere", 404), ("/sample?" + "a" * 9000, 414)):
        schema = responses[str(status)]["content"]["application/json"]["schema"]
        assert fits(server.ask(target).json, schema)
    assert not fits(
        {"error": {"type": "Other", "message": ""}}, responses["404"]["content"]["application/json"]["schema"]
    )


def test_answers_are_what_the_description_says(server: Server, document: Any) -> None:
    image, latents = picture(), json.dumps({"latents": [{}]}).encode()
    bodies = {"/reconstruct": image, "/encode": image, "/decode": latents}
    for path, method, operation in operations(document):
        content = operation["responses"]["200"]["content"]
        for media, one in content.items():
            headers = {"Accept": media, **(JSON if path == "/decode" else {})}
            answer = server.ask(path, bodies.get(path), headers, method.upper())
            assert (answer.status, answer.headers["content-type"]) == (200, media)
            if media == "application/json":
                assert fits(answer.json, one["schema"]), path
    schema = document["paths"]["/decode"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["latents"]["maxItems"] == 40
    wrong = {"latents": [{}], "more": 1}
    assert not fits(wrong, schema)
    assert server.ask("/decode", json.dumps(wrong).encode(), JSON).status == 422


def ends(schema: Mapping[str, Any]) -> tuple[list[object], list[object]]:
    """Return values at the ends of what a parameter's schema allows, and values beyond them."""
    kind = schema["type"]
    if kind == "boolean":
        return ["true", "false"], ["1", "yes", "True"]
    if "enum" in schema:
        return list(schema["enum"]), ["other", str(schema["enum"][0]).upper()]
    if kind == "array":
        return [], []
    step = 1 if kind == "integer" else 0.25
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 0.25)
    beyond = [
        schema["maximum"] + step,
        schema.get("exclusiveMinimum", low - step),
        "x",
        "nan",
        "1e999",
        "0x1",
        "\u0663",
    ]
    return [low, schema["maximum"]], [*beyond, "1.5"] if kind == "integer" else beyond


def test_each_parameter_is_checked_as_described(server: Server, document: Any) -> None:
    image, latents = picture(), json.dumps({"latents": [{}]}).encode()
    bodies = {"/reconstruct": image, "/encode": image, "/decode": latents}
    connection = server.connect()

    def status(path: str, pairs: str) -> int:
        headers = JSON if path == "/decode" else {}
        # All images of a count fit into JSON, and of those that fit none is large enough to be refused.
        more = "" if "format" in pairs or "grid" in pairs or path not in ("/sample", "/decode") else "&format=json"
        return ask(connection, f"{path}?{pairs}{more}", bodies.get(path), headers).status

    for path, _, operation in operations(document):
        names = [parameter["name"] for parameter in operation["parameters"]]
        assert len(set(names)) == len(names)
        assert status(path, "unknown=1") == 422
        for parameter in operation["parameters"]:
            name, schema = parameter["name"], parameter["schema"]
            assert parameter["in"] == "query"
            assert parameter["description"]
            good, bad = ends(schema)
            good += parameter.get("example", [])
            assert schema.get("default", good[0]) is not None
            for value in good:
                assert status(path, f"{name}={quote(str(value))}") == 200, (path, name, value)
            for value in bad:
                assert status(path, f"{name}={quote(str(value))}") == 422, (path, name, value)
            if schema["type"] != "array":
                assert status(path, f"{name}={good[0]}&{name}={good[0]}") == 422
    connection.close()


def test_the_command_line_has_the_limits_of_the_library() -> None:
    import click
    from vaegen_cli.serve import serve

    flags = {
        "body": "max_body",
        "pixels": "max_pixels",
        "count": "max_count",
        "seconds": "max_seconds",
        "queue": "queue",
    }
    defaults = {option.name: option.default for option in serve.params if isinstance(option, click.Option)}
    own = vars(Limits())
    assert {name: own[name] for name in flags} == {name: defaults[flag] for name, flag in flags.items()}
    assert set(own) == {*flags, "workers"}
