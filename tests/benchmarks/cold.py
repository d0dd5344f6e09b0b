"""From starting a process to its end."""

import importlib.util
import statistics

from tests.benchmarks.measure import Clock, Environment, Row, Table, compare, in_turn

RUN = "from vaegen_cli import run; run()"  # what the installed script `vaegen` does
FLOOR = 'python -c "import numpy, onnxruntime"'
LIBRARIES = 'python -c "import numpy, onnxruntime, click, PIL.PngImagePlugin"'
CLICK = 'python -c "import click"'


def cold(environment: Environment, model: str, rounds: int, clock: Clock, *, with_torch: bool) -> list[Table]:
    """Measure `vaegen sample` over its imports, and `vaegen --help` over click's."""
    sample = ("sample", "--color", "red", "--digit", "3", "-o", "x.png", "--force", "--model", model)
    commands: dict[str, tuple[str, ...]] = {
        FLOOR: ("import numpy, onnxruntime",),
        LIBRARIES: ("import numpy, onnxruntime, click, PIL.PngImagePlugin",),
        "vaegen sample --color red --digit 3": (RUN, *sample),
        "vaegen sample --color red --digit 3 --tries 1": (RUN, *sample, "--tries", "1"),
        "vaegen reconstruct x.png": (RUN, "reconstruct", "x.png", "again.png", "--force", "--model", model),
    }
    skipped: tuple[str, ...] = ()
    if with_torch and importlib.util.find_spec("torch"):
        commands['python -c "import torch"'] = ("import torch",)
    else:
        skipped = ("torch is not wanted or not installed",)
    light: dict[str, tuple[str, ...]] = {
        CLICK: ("import click",),
        "vaegen --help": (RUN, "--help"),
        "vaegen --version": (RUN, "--version"),
        'python -c "import vaegen"': ("import vaegen",),
    }
    return [
        Table("A new process that draws one image", FLOOR, _rows(environment, commands, rounds, clock), skipped),
        Table("A new process that says something", CLICK, _rows(environment, light, rounds, clock)),
    ]


def _rows(environment: Environment, commands: dict[str, tuple[str, ...]], rounds: int, clock: Clock) -> tuple[Row, ...]:
    def call(arguments: tuple[str, ...]) -> object:
        return environment.run(*arguments)

    sides = {name: (lambda arguments=arguments: call(arguments)) for name, arguments in commands.items()}
    times = in_turn(sides, rounds, clock, children=True)
    floor = times[next(iter(commands))]
    return tuple(compare(name, "ms", 1e3 * statistics.median(each), each, floor) for name, each in times.items())
