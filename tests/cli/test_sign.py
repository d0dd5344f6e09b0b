import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vaegen
from vaegen.bundle import SHIPPED

pytest.importorskip("model_signing", reason="needs the sign extra", exc_type=ImportError)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

Run = Callable[..., Any]
PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


def write_keys(folder: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    folder.mkdir()
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN)
    (folder / "private.pem").write_bytes(secret)
    public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(public)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with private.pem and public.pem."""
    write_keys(tmp_path / "keys", ec.generate_private_key(ec.SECP256R1()))
    return tmp_path / "keys"


@pytest.fixture
def signed(run: Run, bundle: Path, keys: Path) -> Path:
    result = run("sign", bundle, "--key", keys / "private.pem")
    assert (result.code, result.out, result.err) == (0, f"{bundle / 'model.sig'}\n", f"signed {bundle}\n")
    return bundle


def refused(result: Any) -> str:
    """Return the one line of a refusal."""
    assert result.code == 3
    assert result.err.startswith("vaegen: model.sig: ")
    assert result.err.count("\n") == 1
    return str(result.err)


def test_a_signed_bundle(run: Run, signed: Path, keys: Path) -> None:
    result = run("verify", signed, "--key", keys / "public.pem")
    assert result.code == 0
    assert result.paths[0] == "ok    model.sig       signature"
    assert len(result.paths) == len(run("verify", signed).paths) + 1
    assert vaegen.load(signed).sample(3, "red").shape == (1, 28, 28, 3)
    moved = signed.rename(signed.with_name("moved"))
    assert run("verify", moved, "--key", keys / "public.pem").code == 0


def test_the_specifications_own_command_agrees(run: Run, signed: Path, keys: Path) -> None:
    def other(verb: str, option: str, key: str) -> int:
        words = ["key", signed, option, keys / key, "--signature", signed / "model.sig"]
        command = [sys.executable, "-m", "model_signing", verb, *map(str, words)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert other("verify", "--public_key", "public.pem") == 0
    (signed / "model.sig").unlink()
    assert other("sign", "--private_key", "private.pem") == 0
    assert run("verify", signed, "--key", keys / "public.pem").code == 0
    (signed / "extra").touch()
    assert other("verify", "--public_key", "public.pem") != 0
    assert "Extra files" in refused(run("verify", signed, "--key", keys / "public.pem"))


def test_signing_and_verifying_open_no_connection(
    run: Run, signed: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert run("sign", signed, "--key", keys / "private.pem", "--force").code == 0
    assert run("verify", signed, "--key", keys / "public.pem").code == 0


@pytest.mark.parametrize("name", ["prior.onnx", "manifest.json"])
def test_a_changed_file(run: Run, signed: Path, keys: Path, name: str) -> None:
    data = bytearray((signed / name).read_bytes())
    data[-3] ^= 1
    (signed / name).write_bytes(data)
    assert f"Hash mismatch for {name}\n" in refused(run("verify", signed, "--key", keys / "public.pem"))


def test_a_swapped_model_with_right_checksums(run: Run, signed: Path, keys: Path) -> None:
    shutil.copytree(SHIPPED / "joint", signed, dirs_exist_ok=True)
    assert run("verify", signed).code == 0
    result = run("verify", signed, "--key", keys / "public.pem", "--json")
    assert "Hash mismatch" in refused(result)
    facts = json.loads(result.out)
    assert (facts["ok"], facts["model"], [check["name"] for check in facts["checks"]]) == (False, None, ["signature"])


@pytest.mark.parametrize("name", ["extra", ".gitignore", "deep/extra"])
def test_an_added_file(run: Run, signed: Path, keys: Path, name: str) -> None:
    (signed / name).parent.mkdir(exist_ok=True)
    (signed / name).write_text("")
    assert "Extra files" in refused(run("verify", signed, "--key", keys / "public.pem"))


def test_a_removed_file(run: Run, signed: Path, keys: Path) -> None:
    (signed / "judge.onnx").unlink()
    assert "Missing files" in refused(run("verify", signed, "--key", keys / "public.pem"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["extra", "model.sig", "judge.onnx"])
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_is_no_plain_file(run: Run, signed: Path, keys: Path, name: str, kind: str) -> None:
    file = signed / name
    if file.exists():
        file.rename(signed.parent / "elsewhere")
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(signed.parent / "elsewhere")
    refused(run("verify", signed, "--key", keys / "public.pem"))


def test_an_unsigned_bundle(run: Run, bundle: Path, keys: Path) -> None:
    assert "is not signed" in refused(run("verify", bundle, "--key", keys / "public.pem"))
    assert "is not signed" in refused(run("verify", "joint", "--key", keys / "public.pem"))


def test_the_key_of_somebody_else(run: Run, signed: Path, tmp_path: Path) -> None:
    write_keys(tmp_path / "other", ec.generate_private_key(ec.SECP256R1()))
    refused(run("verify", signed, "--key", tmp_path / "other" / "public.pem"))


def forged(text: str) -> list[bytes]:
    """Return signatures made from a good one: not JSON, of other shapes, with other payloads, keys and types."""
    good = json.loads(text)
    envelope = good["dsseEnvelope"]
    ways = [
        {**good, "dsseEnvelope": {**envelope, "signatures": []}},
        {**good, "dsseEnvelope": {**envelope, "signatures": [{"sig": "MAA="}]}},
        {**good, "dsseEnvelope": {**envelope, "payload": "e30="}},
        {**good, "dsseEnvelope": {**envelope, "payload": "%"}},
        {**good, "verificationMaterial": {}},
        {**good, "verificationMaterial": {"publicKey": {}}, "dsseEnvelope": {**envelope, "payload": "e30="}},
        {**good, "mediaType": "x\x1b[2J\ny"},
        {},
        [],
    ]
    raw = [b"", b"\xff\xfe", b"nonsense", b"[" * 100_000, b" " * (2**20 + 1)]
    return [*raw, *(json.dumps(way).encode() for way in ways)]


def test_forged_signatures(run: Run, signed: Path, keys: Path) -> None:
    for data in forged((signed / "model.sig").read_text()):
        (signed / "model.sig").write_bytes(data)
        assert "\x1b" not in refused(run("verify", signed, "--key", keys / "public.pem"))


def test_a_bundle_that_does_not_pass_is_not_signed(run: Run, bundle: Path, keys: Path) -> None:
    (bundle / "prior.onnx").write_bytes(b"")
    result = run("sign", bundle, "--key", keys / "private.pem")
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert "prior.onnx" in result.err
    assert not (bundle / "model.sig").exists()


def test_signing_again_needs_force(run: Run, signed: Path, keys: Path) -> None:
    before = (signed / "model.sig").read_bytes()
    assert run("sign", signed, "--key", keys / "private.pem").code == 2
    assert (signed / "model.sig").read_bytes() == before
    assert run("sign", signed, "--key", keys / "private.pem", "--force").code == 0
    assert run("verify", signed, "--key", keys / "public.pem").code == 0


def test_keys_that_cannot_be_used(run: Run, bundle: Path, keys: Path, tmp_path: Path) -> None:
    write_keys(tmp_path / "rsa", rsa.generate_private_key(65537, 2048))
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    (keys / "locked.pem").write_bytes(locked)
    unusable = [keys / "absent.pem", keys, bundle / "judge.onnx", tmp_path / "rsa" / "private.pem"]
    for key in [*unusable, keys / "public.pem", keys / "locked.pem"]:
        result = run("sign", bundle, "--key", key)
        assert (result.code, result.err.count("\n")) == (2, 1), key
        assert "P-256" in result.err
    for key in [*unusable, keys / "private.pem", tmp_path / "rsa" / "public.pem"]:
        result = run("verify", bundle, "--key", key)
        assert (result.code, result.err.count("\n")) == (2, 1), key


def test_without_the_extra(run: Run, bundle: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    for verb, key in (("sign", "private.pem"), ("verify", "public.pem")):
        result = run(verb, bundle, "--key", keys / key)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "pip install 'vaegen[sign]'" in result.err
    assert run("verify", bundle).code == 0
