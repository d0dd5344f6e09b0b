"""A training step as one CUDA graph: launching hundreds of small kernels takes longer than running them."""

import logging
from collections.abc import Callable, Hashable

import torch
from torch.optim import Optimizer

from vaegen_training.runs import distributed

WARM_UP = 3  # steps op by op before a capture: libraries choose and allocate in their first calls


class GraphedStep:
    """A step that is captured once in each phase and then replayed; on a CPU or in several processes op by op.

    The step must not wait for the device, and must read and write tensors that stay in place.
    """

    def __init__(self, step: Callable[[torch.Generator], None], optimizer: Optimizer, device: torch.device) -> None:
        self.step, self.optimizer, self.random = step, optimizer, torch.Generator(device)
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" and distributed.SIZE == 1 else None
        self.phase: Hashable = None
        self.warm = 0  # steps of this phase that were taken op by op
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, phase: Hashable, seed: int) -> None:
        """Take a step with the noise of a seed; `phase` is what of it is decided in Python."""
        if phase != self.phase:
            self.phase, self.warm, self.graph = phase, 0, None
        if self.stream is not None and self.graph is None and self.warm == WARM_UP:
            self._capture(self.stream)
        self.random.manual_seed(seed)
        if self.graph is not None:
            self.graph.replay()
        elif self.stream is None:
            self.step(self.random)
        else:  # on the stream of the capture, which must have seen the same calls before
            self.warm += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self.step(self.random)
            torch.cuda.current_stream().wait_stream(self.stream)

    def _capture(self, stream: torch.cuda.Stream) -> None:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.random)
        self.optimizer.zero_grad()  # a capture that begins without gradients makes its own, where replays find them
        group = self.optimizer.param_groups[0]
        group["capturable"] = True  # fused Adam is: its state and step size lie on the device
        try:
            with torch.cuda.stream(stream), torch.cuda.graph(graph, stream=stream):
                self.step(self.random)
            self.graph = graph
        except RuntimeError as error:  # what torch raises for CUDA
            reason = " ".join(str(error).split())
            logging.getLogger("vaegen").warning("training continues without a CUDA graph, op by op: %s", reason)
            self.stream, self.random = None, torch.Generator(self.random.device)  # the old one may be the graph's
        group["capturable"] = False
