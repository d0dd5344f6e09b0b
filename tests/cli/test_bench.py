import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vaegen_cli.bench import Throughput, Warm, _advise

Run = Callable[..., Any]


def test_figures_as_json(run: Run, tiny: Path) -> None:
    result = run("bench", tiny, "--batch", "8,1", "--threads", "1", "--seconds", "0", "--json")
    assert (result.code, result.err) == (0, "")
    facts = json.loads(result.out)
    assert facts["model"] == "tiny"
    assert facts["device"]["cpus"] >= 1
    assert facts["cold"]["first_image_ms"] > 10
    assert facts["cold"]["imports_ms"] > 10
    (warm,) = facts["warm"]
    assert warm["calls"] >= 5
    assert 0 < warm["p50_ms"] <= warm["p95_ms"]
    assert [(one["threads"], one["batch"]) for one in facts["throughput"]] == [(1, 1), (1, 8)]
    assert all(one["sample"] > 0 and one["reconstruct"] > 0 for one in facts["throughput"])
    assert facts["memory"] is None or facts["memory"]["first_image"] > 20
    assert facts["advice"]["flags"] == "--threads 1"


def test_figures_for_people(run: Run, tiny: Path) -> None:
    result = run("bench", tiny, "--batch", "2", "--threads", "1", "--seconds", "0")
    words = [line.split()[0] for line in result.paths]
    assert words[:3] == ["tiny", "cold", "warm"]
    assert words[-3:] == ["threads", "1", "advice"]


def test_what_cannot_be_measured(run: Run, bundle: Path) -> None:
    assert run("bench", "jiont").code == 2
    assert run("bench", bundle, "--batch", "0").code == 2
    assert run("bench", bundle, "--threads", "1,x").code == 2
    (bundle / "decoder.onnx").write_bytes(b"")
    assert run("bench", bundle).code == 3


@pytest.mark.parametrize(
    ("p50", "rates", "expected"),
    [
        ((1.0, 0.99), ((100, 102), (300, 301)), (1, 1, 64)),  # more threads or images that gain nothing are not advised
        ((1.0, 0.5), ((100, 300), (200, 900)), (2, 2, 64)),
        ((1.0, 2.0), ((301, 100), (300, 100)), (1, 1, 1)),
    ],
)
def test_advice(p50: Any, rates: Any, expected: tuple[int, int, int]) -> None:
    """Rates are batch by batch, in each the threads 1 and 2."""
    warm = [Warm(threads, 9, value, value) for threads, value in zip((1, 2), p50, strict=True)]
    throughput = [
        Throughput(threads, batch, rate, rate)
        for batch, row in zip((1, 64), rates, strict=True)
        for threads, rate in zip((1, 2), row, strict=True)
    ]
    advice = _advise(warm, throughput)
    assert (advice.threads_for_one, advice.threads_for_many, advice.batch) == expected
