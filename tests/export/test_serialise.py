import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn
from vaegen.errors import ExportError
from vaegen.manifest import TensorSpec
from vaegen.spec import ModelSpec
from vaegen_export import graphs, serialise
from vaegen_training.models.judge import Judge
from vaegen_training.train.run_folder import load_run


@pytest.fixture(scope="session")
def files(finished_run: Callable[..., Path], joint_spec: ModelSpec) -> dict[str, bytes]:
    _, vae, prior, _ = load_run(finished_run("joint"))
    torch.manual_seed(0)
    built = graphs.build(vae, prior, Judge().eval(), 0.5)
    return {graph.name: serialise.to_onnx(graph, joint_spec) for graph in built}


@cache
def parse(data: bytes) -> onnx.ModelProto:
    return onnx.load_from_string(data)


@pytest.mark.parametrize("name", ["encoder", "sampler", "prior", "decoder", "judge"])
class TestEveryGraph:
    def test_old_runtimes_can_load_it(self, files: dict[str, bytes], name: str) -> None:
        proto = parse(files[name])
        assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
        assert proto.ir_version == 8
        assert not proto.functions

    def test_it_carries_its_model_in_its_metadata(
        self, files: dict[str, bytes], name: str, joint_spec: ModelSpec
    ) -> None:
        (entry,) = parse(files[name]).metadata_props
        assert entry.key == "vaegen"
        assert ModelSpec.from_dict(json.loads(entry.value)) == joint_spec

    def test_it_tells_nothing_of_the_machine_that_made_it(self, files: dict[str, bytes], name: str) -> None:
        for trace in (b"/home", b"/root", b"/tmp", b"site-packages", b".py", b"vaegen_training", b"pkg.torch"):
            assert trace not in files[name]
        assert str(Path(__file__).parents[2]).encode() not in files[name]

    def test_it_holds_all_its_data_and_draws_no_noise(self, files: dict[str, bytes], name: str) -> None:
        proto = parse(files[name])
        assert all(tensor.data_location == TensorProto.DEFAULT for tensor in proto.graph.initializer)
        assert not {node.op_type for node in proto.graph.node} & serialise.RANDOM_OPS
        assert not any("Random" in node.op_type for node in proto.graph.node)

    def test_large_weights_are_stored_in_half(self, files: dict[str, bytes], name: str) -> None:
        for tensor in parse(files[name]).graph.initializer:
            large = numpy_helper.to_array(tensor).size >= serialise.HALF_FROM
            assert tensor.data_type != TensorProto.FLOAT or not large, tensor.name

    def test_the_batch_is_free(self, files: dict[str, bytes], name: str) -> None:
        session = onnxruntime.InferenceSession(files[name], providers=["CPUExecutionProvider"])
        for batch in (1, 2, 7, 64):
            feed = {
                argument.name: np.zeros([size if isinstance(size, int) else batch for size in argument.shape], np.int64)
                if argument.type == "tensor(int64)"
                else np.full([size if isinstance(size, int) else batch for size in argument.shape], 0.5, np.float32)
                for argument in session.get_inputs()
            }
            assert all(len(output) == batch for output in session.run(None, feed))


def one_graph(module: nn.Module, size: int = 4) -> graphs.Graph:
    tensor = TensorSpec("float32", ("n", size))
    return graphs.Graph("decoder", module, {"latent": tensor}, {"image": tensor})


class Noisy(nn.Module):
    def forward(self, latent: Tensor) -> tuple[Tensor]:
        return (latent + torch.randn_like(latent),)


def test_a_graph_that_draws_its_own_noise_is_refused(joint_spec: ModelSpec) -> None:
    with pytest.raises(ExportError, match="draws its own noise"):
        serialise.to_onnx(one_graph(Noisy()), joint_spec)


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
