"""Prove that `vaegen serve` gives many clients the same bytes without an error, in constant memory; and measure it.

    python tests/proofs/serve.py                          # 64 clients for a minute
    python tests/proofs/serve.py --clients 8 --seconds 4 --rounds 2

Each client asks for one sample after the other on a connection of its own and compares its bytes with those that the
library made. Between the rounds one thread calls `model.sample` for the same images in a loop, while the server is
idle. Prints requests, errors, answers that differ, the server's memory (VmRSS, as Linux counts it) after the first
round and at the end, and images per second and processor time per image of both, medians of the rounds, beside the
ratios of single rounds.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import vaegen
from vaegen.encoding import encode_result
from vaegen.subjects import Color, call_facts, picture_facts

SEEDS = 40  # different images
COLORS = {"red": (255, 0, 0), "teal": (0, 128, 128), "gold": (255, 215, 0)}


class Round(NamedTuple):
    """What one round of one side came to."""

    images: int
    seconds: float
    cpu: float
    """Seconds of processor time."""
    wrong: int = 0
    errors: int = 0


def subject(seed: int) -> tuple[int, str]:
    return seed % 10, list(COLORS)[seed % len(COLORS)]


def expected(model: vaegen.Model, seed: int) -> bytes:
    """Make the file of one answer without the server."""
    digit, name = subject(seed)
    image = model.sample(digit, name, seed=seed)[0]
    style: dict[str, None] = dict.fromkeys(("slant", "thickness", "hand"))
    call = call_facts(model.manifest, seed=seed, temperature=None, tries=8, best=None, **style)
    return encode_result(image, 1, call | picture_facts(0, [digit], [Color(name, COLORS[name])]))


async def client(port: int, number: int, end: float, wanted: Mapping[int, bytes]) -> tuple[int, int, int]:
    """Ask until the end; return requests, answers that differ and errors."""
    requests = wrong = errors = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        seed = (number + requests) % SEEDS
        digit, color = subject(seed)
        target = f"/sample?digit={digit}&color={color}&seed={seed}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        body = await reader.readexactly(length)
        requests += 1
        errors += not head.startswith(b"HTTP/1.1 200 ")
        wrong += body != wanted[seed]
    writer.close()
    await writer.wait_closed()
    return requests, wrong, errors


async def crowd(server: int, port: int, clients: int, seconds: float, wanted: Mapping[int, bytes]) -> Round:
    begin, used = time.monotonic(), cpu(server)
    work = [client(port, number, begin + seconds, wanted) for number in range(clients)]
    results = await asyncio.gather(*work)
    requests, wrong, errors = map(sum, zip(*results, strict=True))
    return Round(requests, time.monotonic() - begin, cpu(server) - used, wrong, errors)


def loop(model: vaegen.Model, seconds: float) -> Round:
    begin, used, images = time.monotonic(), time.process_time(), 0
    while time.monotonic() < begin + seconds:
        digit, color = subject(images % SEEDS)
        model.sample(digit, color, seed=images % SEEDS)
        images += 1
    return Round(images, time.monotonic() - begin, time.process_time() - used)


def cpu(process: int) -> float:
    """Return the seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> float:
    """Return the megabytes that a process has in memory."""
    return int(Path(f"/proc/{process}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1000


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--clients", type=int, default=64)
    options.add_argument("--seconds", type=float, default=60, help="of all rounds, without those of the loop")
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--model", default=vaegen.DEFAULT_MODEL)
    given = options.parse_args()
    model = vaegen.load(given.model)
    wanted = {seed: expected(model, seed) for seed in range(SEEDS)}
    command = [sys.executable, "-m", "vaegen_cli", "serve", "--port", "0", "--quiet", "--model", given.model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().strip().strip("/").rpartition(":")[2])
            served, looped, held = [], [], []
            for _ in range(given.rounds):
                seconds = given.seconds / given.rounds
                served.append(asyncio.run(crowd(process.pid, port, given.clients, seconds, wanted)))
                held.append(memory(process.pid))
                looped.append(loop(model, seconds / 5))
        finally:
            process.terminate()
    ratios = [one.images / one.seconds / (two.images / two.seconds) for one, two in zip(served, looped, strict=True)]
    figures = {
        "clients": given.clients,
        "seconds": round(sum(one.seconds for one in served)),
        "requests": sum(one.images for one in served),
        "errors": sum(one.errors for one in served),
        "other bytes": sum(one.wrong for one in served),
        "MB after the first round": round(held[0]),
        "MB at the end": round(held[-1]),
        "exit code": process.returncode,
        "served, images/s": round(statistics.median(one.images / one.seconds for one in served)),
        "model.sample in a loop, images/s": round(statistics.median(one.images / one.seconds for one in looped)),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(min(ratios), 2), round(max(ratios), 2)],
        "served, ms of processor time": round(statistics.median(1000 * one.cpu / one.images for one in served), 2),
        "loop, ms of processor time": round(statistics.median(1000 * one.cpu / one.images for one in looped), 2),
    }
    print(json.dumps(figures))
    sys.exit(bool(figures["errors"] or figures["other bytes"] or figures["exit code"]))


if __name__ == "__main__":
    main()
