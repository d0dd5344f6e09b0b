import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn
from vaegen.errors import ExportError
from vaegen.manifest import GRAPHS, TensorSpec
from vaegen.operators import OPERATORS
from vaegen.spec import ModelSpec
from vaegen_export import graphs, serialise

GetExported = Callable[..., Any]  # conftest's
MODELS = [("continuous", "default"), ("discrete", "default"), ("joint", "default"), ("joint", "seed")]
MOST_OPERATORS = 40  # distinct ones, of all models: a runtime may be built with no others


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_is_portable_and_tells_nothing_of_where_it_was_made(exported: GetExported, name: str) -> None:
    joint = exported("joint")
    data = joint.files[name]
    proto = onnx.load_from_string(data)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    assert proto.ir_version == 8
    assert not proto.functions
    (entry,) = proto.metadata_props
    assert entry.key == "vaegen"
    assert ModelSpec.from_dict(json.loads(entry.value)) == joint.manifest.model
    for trace in (b"/home", b"/root", b"/tmp", b"site-packages", b".py", b"vaegen_training", b"pkg.torch"):
        assert trace not in data
    assert str(Path(__file__).parents[2]).encode() not in data
    for tensor in proto.graph.initializer:
        large = numpy_helper.to_array(tensor).size >= serialise.HALF_FROM
        assert tensor.data_location == TensorProto.DEFAULT
        assert tensor.data_type != TensorProto.FLOAT or not large, tensor.name


def test_few_operators_are_used(exported: GetExported) -> None:
    files = [data for model in MODELS for data in exported(*model).files.values()]
    used = {node.op_type for data in files for node in onnx.load_from_string(data).graph.node}
    assert len(used) <= MOST_OPERATORS, sorted(used)
    assert used <= OPERATORS


def test_onnxruntime_fuses_what_takes_its_time(exported: GetExported, tmp_path: Path) -> None:
    for name in ("encoder", "prior", "decoder"):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "fused.onnx")
        options.log_severity_level = 3  # it warns that such a file fits no other processor
        onnxruntime.InferenceSession(exported("joint").files[name], options, providers=["CPUExecutionProvider"])
        fused = {node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node}
        assert "Gelu" in fused
        assert "Erf" not in fused


def one_graph(module: nn.Module, size: int = 4) -> graphs.Graph:
    tensor = TensorSpec("float32", ("n", size))
    return graphs.Graph("decoder", module, {"latent": tensor}, {"image": tensor})


class Noisy(nn.Module):
    def forward(self, latent: Tensor) -> tuple[Tensor]:
        return (latent + torch.randn_like(latent),)


class Compared(nn.Module):
    def forward(self, latent: Tensor) -> tuple[Tensor]:
        return ((latent < 1).float() + 2 * (latent <= 0),)


def test_a_graph_that_draws_its_own_noise_is_refused(exported: GetExported) -> None:
    with pytest.raises(ExportError, match="draws its own noise"):
        serialise.to_onnx(one_graph(Noisy()), exported("joint").manifest.model)


def test_comparisons_are_turned_around_and_mean_the_same(exported: GetExported) -> None:
    data = serialise.to_onnx(one_graph(Compared()), exported("joint").manifest.model)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"latent": np.array([[-1, 0, 0.5, 1]], np.float32)})
    assert found.tolist() == [[3, 3, 1, 0]]
    assert not {node.op_type for node in onnx.load_from_string(data).graph.node} & {"Less", "LessOrEqual"}


def test_rounding_changes_large_weights_only_and_refuses_what_half_cannot_hold() -> None:
    layer = nn.Linear(64, 64)
    before, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    serialise.round_weights(layer)
    assert torch.equal(layer.weight, before.half().float())
    assert not torch.equal(layer.weight, before)
    assert torch.equal(layer.bias, bias)
    layer.weight.data[0, 0] = 1e6
    with pytest.raises(ExportError, match=re.escape("weight weight has values beyond float16")):
        serialise.round_weights(layer)
