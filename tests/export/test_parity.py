import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from vaegen.errors import ExportError
from vaegen.spec import Thresholds
from vaegen_export import graphs, parity

GetExported = Callable[..., Any]  # conftest's

Z = 35  # Gaussian coordinates of the small joint model; its codes come after them
DERIVED = {"decoder.pixels", "judge.read", "judge.accepted", "judge.rank"}  # compared with the outputs they come of


class Altered(nn.Module):
    """A graph's torch side with one of its outputs changed."""

    def __init__(self, module: nn.Module, place: int, column: int, change: float) -> None:
        super().__init__()
        self.module = module
        self.place, self.column, self.change = place, column, change

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = [output.clone() for output in self.module(*inputs)]
        outputs[self.place].reshape(len(outputs[0]), -1)[:, self.column] += self.change
        return tuple(outputs)


def test_the_report_covers_every_output(exported: GetExported) -> None:
    manifest = exported("joint").manifest
    names = {f"{graph}.{name}" for graph, spec in manifest.graphs.items() for name in spec.outputs}
    assert set(manifest.parity["largest_difference"]) == names - DERIVED
    assert manifest.parity["comparisons"] > 100
    assert manifest.parity["undecided_one_hots"] < parity.MOST_UNDECIDED


@pytest.mark.parametrize(
    ("name", "place", "column", "change", "message"),
    [
        ("encoder", 0, 0, 0.001, "encoder.latent on real digits, batch 1, differs from torch"),
        ("encoder", 0, Z, 1.0, "encoder.latent on real digits, batch 1, has .* other one-hots"),
        ("prior", 0, 0, 0.001, "prior.latent on .* differs from torch"),
        ("sampler", 0, 0, 0.001, "sampler.latent on .* differs from torch"),
        ("decoder", 0, 0, 0.001, "decoder.image on .* differs from torch"),
        ("judge", 0, 0, 0.001, "judge.probabilities on .* differs from torch"),
        ("judge", 4, 0, 0.01, "judge.color_error on .* differs from torch"),
    ],
)
def test_any_graph_that_differs_is_named(
    exported: GetExported, name: str, place: int, column: int, change: float, message: str
) -> None:
    joint = exported("joint")
    altered = [
        dataclasses.replace(graph, module=Altered(graph.module, place, column, change)) if graph.name == name else graph
        for graph in joint.graphs
    ]
    with pytest.raises(ExportError, match=message), torch.no_grad():
        parity.check(those(altered, "encoder", name), joint.files, joint.manifest.model, joint.run.probe)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        (Thresholds(0.0, 1000.0, -1e6), "accepted does not follow from the thresholds"),
        (Thresholds(0.8, 1.0, 0.0), "rank does not follow from the rest"),
    ],
)
def test_a_graph_that_breaks_its_contract_is_named(exported: GetExported, thresholds: Thresholds, message: str) -> None:
    joint = exported("joint")
    model = joint.manifest.model._replace(thresholds=thresholds)
    with pytest.raises(ExportError, match=f"parity: judge on .*: {message}"):
        parity.check(those(joint.graphs, "encoder", "judge"), joint.files, model, joint.run.probe)


def those(built: list[graphs.Graph], *names: str) -> list[graphs.Graph]:
    return [graph for graph in built if graph.name in names]
