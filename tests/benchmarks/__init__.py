"""How fast vaegen is, beside what bounds it: `python -m tests.benchmarks` in the repository.

Every figure is a ratio of two things measured in turn in one run, because a time by itself says more about the machine
than about vaegen. The tables of docs/performance*.md are written by this command and by nothing else.
"""

import os

# Without its telemetry, which vaegen turns off, onnxruntime is a floor that can be compared.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
