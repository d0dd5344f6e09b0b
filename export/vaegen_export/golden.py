"""The golden outputs of a new bundle: what torch computes on the fixed inputs of `vaegen.golden`."""

import torch
from vaegen import golden
from vaegen.spec import ModelSpec

from vaegen_export.graphs import Graph


def record(graphs: list[Graph], model: ModelSpec) -> dict[str, list[float]]:
    """Give the numbers for the manifest, by "graph.output".

    Args:
        graphs: The torch side; its weights have gone through `serialise.round_weights`.
        model: What the model is.
    """
    numbers: dict[str, list[float]] = {}
    for graph in graphs:
        fixed = golden.inputs(graph.inputs, model)
        results = graph.run([torch.from_numpy(fixed[name]) for name in graph.inputs])
        for name, value in zip(graph.outputs, results, strict=True):
            numbers[f"{graph.name}.{name}"] = golden.summarise(value.numpy())
    return numbers
