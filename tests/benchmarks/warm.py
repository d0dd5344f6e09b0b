"""A loaded model at work: the wait for one image, and images per second."""

import functools
import importlib.util
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import vaegen

from tests.benchmarks.bare import Bare, by_hand
from tests.benchmarks.measure import Call, Clock, Row, Table, compare, in_turn, repeat

CALLS = 20  # of one image in a measurement
LEAST = 512  # images in a measurement of throughput, in as many calls as that takes


def latency(model: str, rounds: int, clock: Clock) -> Table:
    """Measure `model.sample` for one image over the bare graphs that it takes."""
    bare = Bare(model, threads=1)
    runs = {graph: bare.call(graph, 1) for graph in ("prior", "decoder", "judge")}
    with vaegen.load(model) as loaded:

        def graphs(*names: str) -> Call:
            return lambda: [runs[name]() for name in names]

        pairs: list[tuple[tuple[str, Call], tuple[str, Call]]] = [
            (
                ("bare prior and decoder", graphs("prior", "decoder")),
                ("model.sample(3, 'teal', tries=1)", lambda: loaded.sample(3, "teal", tries=1)),
            ),
            (
                ("bare prior, decoder and judge", graphs("prior", "decoder", "judge")),
                ("model.sample(3, 'teal')", lambda: loaded.sample(3, "teal")),
            ),
        ]
        rows: list[Row] = []
        for floor, side in pairs:
            times = in_turn(dict([floor, side]), rounds * CALLS, clock)
            for name, each in times.items():
                row = compare(name, "ms", 1e3 * statistics.median(each), each, times[floor[0]])
                rows.append(Row(**{**vars(row), "p95": 1e3 * float(np.percentile(each, 95))}))
    return Table("One image after another, 1 thread", "the bare graphs above it", tuple(rows))


def bulk(model: str, count: int, rounds: int, clock: Clock) -> Table:
    """Measure a call for very many images over the bare decoder, fed 512 at a time."""
    bare = Bare(model, threads=1)
    decode, rest = bare.call("decoder", LEAST), bare.call("decoder", count % LEAST or LEAST)
    with vaegen.load(model) as loaded:
        sides: dict[str, Call] = {
            f"bare decoder, {LEAST} at a time": lambda: (repeat(decode, (count - 1) // LEAST)(), rest()),
            f"model.sample(3, 'teal', {count:_}, tries=1)": lambda: loaded.sample(3, "teal", count, tries=1),
            f"model.sample(3, 'teal', {count:_})": lambda: loaded.sample(3, "teal", count),
        }
        times = in_turn(sides, rounds, clock)
    floor = next(iter(times.values()))
    rows = tuple(
        compare(name, "images/s", count / statistics.median(each), floor, each) for name, each in times.items()
    )
    return Table(f"{count:,} images in one call, 1 thread", "the bare decoder, as images per second", rows)


def throughput(
    model: str, batches: Sequence[int], threads: Sequence[int], rounds: int, clock: Clock, *, with_torch: bool
) -> list[Table]:
    """Measure images per second over the bare decoder, for each number of threads."""
    return [_throughput(model, batches, count, rounds, clock, with_torch=with_torch) for count in threads]


def _throughput(
    model: str, batches: Sequence[int], threads: int, rounds: int, clock: Clock, *, with_torch: bool
) -> Table:
    bare, by_user = Bare(model, threads), by_hand(model, threads)
    skipped: list[str] = []
    rows: list[Row] = []
    with vaegen.load(model, threads=threads) as loaded:
        torch_calls = _torch_decoders(bare, threads, skipped) if with_torch else {}
        for batch in batches:
            digits = [row % 10 for row in range(batch)]

            def sample(tries: int, digits: Sequence[int] = digits) -> Call:
                return lambda: loaded.sample(digits, "teal", tries=tries)

            once: dict[str, Call] = {
                "bare decoder": bare.call("decoder", batch),
                "model.sample, tries=1": sample(1),
                "model.sample": sample(8),
                "prior and decoder by hand": functools.partial(by_user, batch),
            }
            once.update({name: make(batch) for name, make in torch_calls.items()})
            repeats = max(1, LEAST // batch)
            times = in_turn({name: repeat(call, repeats) for name, call in once.items()}, rounds, clock)
            images = batch * repeats
            floor = times["bare decoder"]
            for name, each in times.items():
                # Rates, not times: 0.6 means six tenths of the floor's images in a second.
                rate = images / statistics.median(each)
                rows.append(compare(f"{name}, batch {batch}", "images/s", rate, floor, each))
    title = f"Many images, {threads} thread{'s' if threads > 1 else ''}"
    return Table(title, "the bare decoder at this batch, as images per second", tuple(rows), tuple(skipped))


def _torch_decoders(bare: Bare, threads: int, skipped: list[str]) -> dict[str, Callable[[int], Call]]:
    """Return torch's side: the preset's decoder with fresh weights, which cost what trained ones do."""
    spec = bare.manifest.model
    if importlib.util.find_spec("torch") is None:
        skipped.append("torch is not installed")
        return {}
    import torch
    from vaegen_training.models.vae import build
    from vaegen_training.presets import preset

    decoder = build(preset(spec.preset if spec.preset in ("default", "seed") else "default", spec.kind).model).eval()
    if decoder.spec != spec.latent:
        skipped.append(f"torch: {spec.name!r} is not the model of a preset")
        return {}
    torch.set_num_threads(threads)

    def eager(batch: int) -> Call:
        latent = torch.rand(batch, spec.latent.size)

        def call() -> object:
            with torch.inference_mode():
                return decoder.decode(latent)

        return call

    calls: dict[str, Callable[[int], Call]] = {"torch's decoder, eager": eager}
    compiled = torch.compile(decoder.decode, dynamic=True)

    def faster(batch: int) -> Call:
        latent = torch.rand(batch, spec.latent.size)

        def call() -> object:
            with torch.inference_mode():
                return compiled(latent)

        return call

    try:
        faster(2)()
    except Exception as error:  # noqa: BLE001, a compiler that is missing shows itself in many ways
        skipped.append(f"torch.compile: {type(error).__name__}")
        return calls
    return calls | {"torch's decoder, compiled": faster}
