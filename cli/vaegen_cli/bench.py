"""`vaegen bench`: how fast a model is here, and what to run it with."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import vaegen
from vaegen.errors import RequestError

from vaegen_cli.options import complete_models, json_option
from vaegen_cli.settings import Settings, common_options, pass_settings, with_examples

if TYPE_CHECKING:
    from vaegen_cli.benchmark import Benchmark

MAX_BATCH = 100_000


def _read_numbers(_context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Read a list of whole numbers, such as 1,8,64.

    Raises:
        RequestError: It is something else.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= MAX_BATCH for part in parts):
        raise RequestError(f"{parameter.opts[0]} {text!r} is no list of numbers from 1 to {MAX_BATCH}, such as 1,8")
    return tuple(int(part) for part in parts)


@click.command()
@click.argument(
    "model", metavar="[MODEL|FOLDER]", required=False, default=vaegen.DEFAULT_MODEL, shell_complete=complete_models
)
@click.option(
    "--batch",
    "batches",
    callback=_read_numbers,
    default="1,8,64,512",
    show_default=True,
    metavar="LIST",
    help="Images in one call.",
)
@click.option(
    "--threads", callback=_read_numbers, metavar="LIST", help="Threads inside the model.  [default: 1 and all cores]"
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 60),
    default=0.3,
    show_default=True,
    metavar="S",
    help="Time for each measurement.",
)
@json_option
@common_options
@pass_settings
@with_examples(
    "vaegen bench",
    "vaegen bench continuous --batch 1,64 --threads 1,2,4 --json",
)
def bench(
    settings: Settings,
    model: str,
    batches: tuple[int, ...],
    threads: tuple[int, ...] | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure a model on this device and recommend flags.

    Cold: a new process that loads the model and samples one image, beside one that only imports numpy and
    onnxruntime. Warm: one image after another, p50 and p95. Throughput: images per second by threads and batch size,
    verified samples and reconstructions. Memory: the peak of a process. Keep the machine quiet meanwhile.
    """
    from vaegen_cli.benchmark import benchmark

    def step(what: str) -> None:
        settings.say(f"vaegen: measuring {what}", level=0 if settings.live else 1)

    found = benchmark(model, batches=batches, threads=threads, seconds=seconds, on_step=step)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        _show(found)


def _show(found: "Benchmark") -> None:
    device, cold, advice = found.device, found.cold, found.advice
    where = f"{device.machine} {device.system}, {device.cpus} cores, onnxruntime {device.onnxruntime}"
    click.echo(f"{found.model} on {where}, Python {device.python}")
    ratio = cold.first_image_ms / cold.imports_ms
    click.echo(f"cold    {cold.first_image_ms:.0f} ms, {ratio:.2f} times the imports alone ({cold.imports_ms:.0f} ms)")
    for warm in found.warm:
        click.echo(f"warm    {warm.p50_ms:.2f} ms p50, {warm.p95_ms:.2f} ms p95, threads {warm.threads}")
    if found.memory is not None:
        click.echo(f"memory  {found.memory.first_image:.0f} MB, largest batch {found.memory.largest_batch:.0f} MB")
    click.echo("threads  batch    sample/s  reconstruct/s")
    for one in found.throughput:
        click.echo(f"{one.threads:>7}  {one.batch:>5}  {one.sample:>10,.0f}  {one.reconstruct:>13,.0f}")
    many = f"many images: {advice.threads_for_many} threads, {advice.batch} in a call"
    click.echo(f"advice  {advice.flags}; {many}")
