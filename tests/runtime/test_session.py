"""Sessions: opened when needed, shared between threads, never across a fork."""

import functools
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import vaegen
from vaegen import BundleError, IntegrityError, RequestError
from vaegen.session import default_options

Vouch = Callable[[Path, str, bytes], None]


def opened(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The graphs opened so far, from the log, without their endings."""
    return [Path(str(r.args[0]).strip("'")).stem for r in caplog.records if r.msg == "opened %s" and r.args]  # type: ignore[index]


@pytest.mark.parametrize(
    ("call", "graphs"),
    [
        (lambda m, _: m.decode(np.zeros((1, 23), np.float32)), ["decoder"]),
        (lambda m, x: m.encode(x), ["encoder"]),
        (lambda m, x: m.posterior(x), ["encoder"]),
        (lambda m, x: m.judge(x), ["judge"]),
        (lambda m, x: m.reconstruct(x), ["encoder", "decoder"]),
        (lambda m, x: m.reconstruct(x, stochastic=True), ["encoder", "sampler", "decoder"]),
        (lambda m, _: m.sample(3, "red", tries=1), ["prior", "decoder"]),
        (lambda m, _: m.sample(3, "red"), ["prior", "decoder", "judge"]),
        (lambda m, _: m.spec, []),
        (lambda m, x: m.encode(x[:0]), []),
    ],
)
def test_a_call_opens_only_the_graphs_it_needs_and_each_once(
    tiny: Path, caplog: pytest.LogCaptureFixture, call: Callable[[vaegen.Model, object], object], graphs: list[str]
) -> None:
    caplog.set_level(logging.DEBUG, "vaegen")
    model = vaegen.load(tiny)
    images = np.zeros((1, 28, 28, 3), np.uint8)
    call(model, images)
    call(model, images)
    assert opened(caplog) == graphs


def test_named_graphs_are_opened_by_load(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vaegen")
    model = vaegen.load(tiny, warm_up=["decoder", "prior"])
    assert opened(caplog) == ["decoder", "prior"]
    model.sample(3, "red", tries=1)
    assert opened(caplog) == ["decoder", "prior"]
    with pytest.raises(RequestError, match=r"unknown graph 'decoder.onnx'; choose from encoder, sampler, prior"):
        vaegen.load(tiny, warm_up=["decoder.onnx"])


def test_many_threads_get_the_bytes_of_one(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    single = vaegen.load(tiny)
    caplog.set_level(logging.DEBUG, "vaegen")

    def work(model: vaegen.Model, thread: int) -> list[bytes]:
        results = []
        for turn in range(5):
            images = model.sample(turn % 10, "teal", 40, seed=thread, start=turn)
            results += [
                images.tobytes(),
                model.reconstruct(images, stochastic=True, seed=turn).tobytes(),
                model.encode(images).tobytes(),
                model.judge(images).tobytes(),
            ]
        return results

    expected = [work(single, thread) for thread in range(16)]
    caplog.clear()
    shared = vaegen.load(tiny)
    found: dict[int, list[bytes]] = {}
    start = threading.Barrier(16)

    def hammer(thread: int) -> None:
        start.wait()
        found[thread] = work(shared, thread)

    threads = [threading.Thread(target=hammer, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[thread] for thread in range(16)] == expected
    assert sorted(opened(caplog)) == ["decoder", "encoder", "judge", "prior", "sampler"]


FORK = """
import os, sys, threading, time, vaegen
from vaegen import encoding, images, session

model = vaegen.load(sys.argv[1])
expected = model.sample(3, "red", 20).tobytes()
data = encoding.encode_png(model.sample(3, "red")[0])
# At the moment of the fork another thread holds the lock under which graphs are opened.
session._opening.__enter__()
child = os.fork()
if child == 0:
    same = model.sample(3, "red", 20).tobytes() == expected
    same = same and model.reconstruct(images.decode_image(data)[None]).shape == (1, 28, 28, 3)
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if model.sample(3, "red", 20).tobytes() == expected else 1)
    same = same and os.waitpid(grandchild, 0)[1] == 0
    model.close()
    os._exit(0 if same else 1)
session._opening.__exit__(None, None, None)
status = os.waitpid(child, 0)[1]
print(status == 0 and model.sample(3, "red", 20).tobytes() == expected)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_the_child_opens_its_own(tiny: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(tiny)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("True", "")


def test_a_model_can_be_pickled(tiny: Path) -> None:
    model = vaegen.load(tiny)
    expected = model.sample(3, "red", 20).tobytes()
    copy = pickle.loads(pickle.dumps(model))
    assert copy.manifest == model.manifest
    assert copy.sample(3, "red", 20).tobytes() == expected


def test_a_spawned_process_gives_the_same_bytes(tiny: Path) -> None:
    code = (
        "import pickle, sys, vaegen; model = pickle.loads(sys.stdin.buffer.read());"
        "sys.stdout.buffer.write(model.sample(3, 'red', 20).tobytes())"
    )
    model = vaegen.load(tiny)
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(model), capture_output=True, check=True)
    assert done.stdout == model.sample(3, "red", 20).tobytes()


def test_threads_are_limited(tiny: Path) -> None:
    for threads in (0, -1, 257, 1.5, "2", True):
        with pytest.raises(RequestError, match="threads"):
            vaegen.load(tiny, threads=threads)  # type: ignore[arg-type]


def test_two_threads_give_the_same_images(tiny: Path) -> None:
    with vaegen.load(tiny, threads=2) as model:
        difference = model.sample(3, "red", 600).astype(int) - vaegen.load(tiny).sample(3, "red", 600)
        assert abs(difference).max() <= 1


def test_own_session_options_replace_ours(tiny: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = vaegen.load(tiny, session_options=options)
    assert (model.sample(3, "red", 5) == vaegen.load(tiny).sample(3, "red", 5)).all()


def test_default_options_are_the_documented_ones() -> None:
    options = default_options(1)
    assert options.intra_op_num_threads == options.inter_op_num_threads == 1
    assert options.enable_cpu_mem_arena
    assert options.enable_mem_pattern
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.log_severity_level == 3


def test_what_a_caller_keeps_does_not_lie_in_the_memory_of_a_session(tiny: Path) -> None:
    # Memory of a session that is held on to is not used again, and goes back to the system only with the session.
    with vaegen.load(tiny) as model:
        draw = model.draw(range(5), "red")
        posterior = model.posterior(draw.images)
        found = [*vars(draw).values(), posterior.latent, posterior.mean, posterior.log_variance, posterior.logits]
        found += [model.decode(draw.latents), model.decode_unrounded(draw.latents), model.judge(draw.images)]
        found += [model.encode(draw.images), model.sample_posterior(posterior), model.latent({"digit": 3})]
        found += [model.sample(3, "red"), model.reconstruct(draw.images, stochastic=True)]
    assert len(found) == 24
    for array in found:
        while array.base is not None:
            array = array.base
        assert array.flags.owndata


def test_a_closed_model_says_so(tiny: Path) -> None:
    with vaegen.load(tiny) as model:
        model.sample(3, "red")
    for call in (lambda: model.sample(3, "red"), lambda: model.judge(np.zeros((1, 28, 28, 3), np.uint8))):
        with pytest.raises(RequestError, match="closed; load it again"):
            call()
    model.close()


def test_nothing_is_printed(tiny: Path, bundle: Path, vouch: Vouch) -> None:
    vouch(bundle, "prior", b"rubbish")
    code = """
import sys, vaegen
model = vaegen.load(sys.argv[1])
model.reconstruct(model.sample(3, "red", 3), stochastic=True)
try:
    vaegen.load(sys.argv[2]).sample(3, "red")
except vaegen.BundleError:
    pass
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny), str(bundle)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_must_read_again_checks_again(bundle: Path) -> None:
    code = """
import os, sys, vaegen
model = vaegen.load(sys.argv[1])
model.sample(3, "red")
open(sys.argv[1] + "/decoder.onnx", "ab").write(b"!")
if os.fork() == 0:
    try:
        model.sample(3, "red")
    except vaegen.IntegrityError:
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "7"


def test_what_onnxruntime_raises_while_running_is_translated(bundle: Path, vouch: Vouch) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    model = onnx.load(bundle / "decoder.onnx")
    # It fits the manifest and can be opened, but 23 numbers a latent make no picture.
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 3, 28, 28]), "shape"))
    model.graph.node.append(onnx.helper.make_node("Reshape", ["latent", "shape"], ["image"]))
    bytes_of = {"to": onnx.TensorProto.UINT8}
    model.graph.node.append(onnx.helper.make_node("Cast", ["image"], ["bytes"], **bytes_of))
    model.graph.node.append(onnx.helper.make_node("Transpose", ["bytes"], ["pixels"], perm=[0, 2, 3, 1]))
    vouch(bundle, "decoder", model.SerializeToString())
    with pytest.raises(BundleError, match=r"decoder\.onnx': onnxruntime failed") as failure:
        vaegen.load(bundle).sample(3, "red")
    assert not isinstance(failure.value, IntegrityError)
    assert failure.value.__cause__ is not None
    assert "\n" not in str(failure.value)


def test_what_onnxruntime_raises_while_loading_is_translated(bundle: Path, vouch: Vouch) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    model = onnx.load(bundle / "decoder.onnx")
    model.graph.node.append(onnx.helper.make_node("Nonsense", ["latent"], ["x"]))
    vouch(bundle, "decoder", model.SerializeToString())
    with pytest.raises(BundleError, match=r"decoder\.onnx'.*cannot load.*Nonsense") as failure:
        vaegen.load(bundle).sample(3, "red")
    assert failure.value.__cause__ is not None
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("graph", "kind", "constants", "options"),
    [
        ("decoder", "Reshape", {"shape": [-1, 3, 56, 14]}, {}),  # as the model itself says
        ("decoder", "Slice", {"from": [1], "to": [2**31]}, {}),  # the first row is missing
        ("decoder", "Slice", {"from": [0], "to": [0]}, {}),
        ("judge", "Concat", None, {"axis": 0}),  # every row twice
        ("prior", "Concat", None, {"axis": 0}),
        ("encoder", "Slice", {"from": [0], "to": [1]}, {}),
        ("encoder", "ReduceMean", {}, {"keepdims": 0}),  # one number, as the model itself says
    ],
)
def test_results_of_another_shape_are_refused(
    bundle: Path, vouch: Vouch, graph: str, kind: str, constants: dict[str, list[int]] | None, options: dict[str, int]
) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    model = onnx.load(bundle / f"{graph}.onnx")
    name = {"decoder": "image", "judge": "rank"}.get(graph, "latent")
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["inner" if value == name else value for value in names]
    for key, values in (constants or {}).items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values), key))
    inputs = ["inner", "inner"] if constants is None else ["inner", *constants]
    model.graph.node.append(onnx.helper.make_node(kind, inputs, [name], **options))
    vouch(bundle, graph, model.SerializeToString())
    loaded = vaegen.load(bundle)
    call = functools.partial(loaded.encode, np.zeros((5, 28, 28, 3), np.uint8))
    with pytest.raises(BundleError, match=rf"{graph}\.onnx': output {name} is float32 \(.*\).*; it must be"):
        call() if graph == "encoder" else loaded.sample(3, "red", 5)


def test_no_model_is_taken_for_onnxruntimes_own_format(bundle: Path, vouch: Vouch) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    expected = vaegen.load(bundle).sample(3, "red", 3).tobytes()
    model = onnx.load(bundle / "decoder.onnx")
    model.producer_name = "ORTM"
    data = model.SerializeToString()
    assert data[4:8] == b"ORTM"
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.Fail):  # these four bytes are all it looks at
        onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    vouch(bundle, "decoder", data)
    code = """
import onnxruntime, sys, vaegen
own = onnxruntime.SessionOptions()
for options in (None, own, own):
    sys.stdout.buffer.write(vaegen.load(sys.argv[1], session_options=options).sample(3, "red", 3).tobytes())
"""
    done = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout[: len(expected)] == expected
    assert len(done.stdout) == 3 * len(expected)
