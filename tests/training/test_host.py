"""What training, exports and measurements leave of a program's own state of torch and Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

# Arguments: the digits and a folder. Changes what training must not work with, then prints what is different after it.
PROGRAM = """
import json, logging, os, random, signal, sys, warnings
import numpy as np
import torch
import vaegen_export
from vaegen_training import evaluate, train

digits, folder = sys.argv[1:]
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
torch.set_float32_matmul_precision("medium")
torch.manual_seed(5); np.random.seed(5); random.seed(5)
small = torch.tensor(2.0**-126, dtype=torch.float32)

def state():
    return {
        "torch's randomness": torch.get_rng_state().tolist(),
        "numpy's": str(np.random.get_state()),
        "Python's": random.getstate(),
        "denormals": float(small * 0.5),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "type and device": (torch.get_default_dtype(), torch.get_default_device()),
        "precision": torch.get_float32_matmul_precision(),
        "cudnn": [getattr(torch.backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic")],
        "determinism": torch.get_deterministic_debug_mode(),
        "warnings": warnings.filters[:],
        "numpy's errors": np.geterr(),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "streams": (sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook),
        "loggers": (logging.root.level, logging.root.handlers[:], logging.getLogger("torch.onnx").level),
    }

before = state()
data = {"data_dir": digits, "verify_data": False, "progress": False}
short = {"vae.epochs": "1", "vae.batch": "50", "model.hidden": "16", "flow_stage.epochs": "1", "prior.hidden": "16",
         "prior.examples": "1000", "flow_stage.batch": "50", "prior_stage.epochs": "1", "prior_stage.batch": "50",
         "sharpen_stage.epochs": "0.2", "sharpen_stage.batch": "50", "verifier_stage.epochs": "0.2"}
changed = []
for work in (
    lambda: train("joint", out=f"{folder}/run", overrides=short, **data),
    lambda: vaegen_export.export(f"{folder}/run", f"{folder}/bundle"),
    lambda: evaluate.evaluate([f"{folder}/bundle"], n=100, **data),
):
    work()
    after = state()
    changed.append([name for name in before if str(before[name]) != str(after[name])])
print(json.dumps(changed))
"""


def test_the_state_of_the_program_is_left_as_it_was(digits_dir: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(digits_dir), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(done.stdout) == [[], [], []]
