import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from vaegen.errors import ExportError
from vaegen.spec import ModelSpec
from vaegen_export import graphs, parity, serialise
from vaegen_training.models.judge import Judge
from vaegen_training.train.run_folder import load_run

Z = 35  # Gaussian coordinates of the small joint model; its codes come after them
Exported = tuple[list[graphs.Graph], dict[str, bytes], Tensor]


class Altered(nn.Module):
    """A graph's torch side with its first output changed."""

    def __init__(self, module: nn.Module, column: int, change: float) -> None:
        super().__init__()
        self.module = module
        self.column = column
        self.change = change

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        first, *rest = self.module(*inputs)
        first = first.clone()
        first[:, self.column] += self.change
        return (first, *rest)


@pytest.fixture(scope="module")
def joint(finished_run: Callable[..., Path], joint_spec: ModelSpec) -> Exported:
    _, vae, prior, gray = load_run(finished_run("joint"))
    judge = Judge().eval()
    for module in (prior, judge):
        serialise.round_weights(module)
    built = graphs.build(vae, prior, judge, 0.5)
    return built, {graph.name: serialise.to_onnx(graph, joint_spec) for graph in built}, gray


def test_the_report_covers_every_output(joint: Exported, joint_spec: ModelSpec) -> None:
    built, files, gray = joint
    report = parity.check(built, files, joint_spec.latent, gray)
    assert set(report["largest_difference"]) == {f"{graph.name}.{name}" for graph in built for name in graph.outputs}
    assert report["comparisons"] > 100
    assert report["undecided_one_hots"] < parity.MOST_UNDECIDED


@pytest.mark.parametrize(
    ("name", "column", "change", "message"),
    [
        ("encoder", 0, 0.001, "encoder.latent on real digits, batch 1, differs from torch"),
        ("encoder", Z, 1.0, "encoder.latent on real digits, batch 1, has .* other one-hots"),
        ("prior", 0, 0.001, "prior.latent on .* differs from torch"),
        ("sampler", 0, 0.001, "sampler.latent on .* differs from torch"),
        ("judge", 0, 0.01, "judge.logits on .* differs from torch"),
    ],
)
def test_any_graph_that_differs_is_named(
    joint: Exported, joint_spec: ModelSpec, name: str, column: int, change: float, message: str
) -> None:
    built, files, gray = joint
    altered = [
        dataclasses.replace(graph, module=Altered(graph.module, column, change)) if graph.name == name else graph
        for graph in built
    ]
    with pytest.raises(ExportError, match=message), torch.no_grad():
        parity.check(altered, files, joint_spec.latent, gray)
