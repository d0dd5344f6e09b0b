"""Training of the three VAEs, their conditional prior and the judge. Needs the extra: pip install 'vaegen[train]'.

Importing this package loads no torch: each public name is fetched on first use (PEP 562), so that settings are shown,
and wrong ones refused, in milliseconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaegen_training.config import TrainConfig
    from vaegen_training.host import Interrupted
    from vaegen_training.presets import PRESETS, preset
    from vaegen_training.runs.distributed import RANK
    from vaegen_training.runs.run import TrainSummary, train

__all__ = ["PRESETS", "RANK", "Interrupted", "TrainConfig", "TrainSummary", "preset", "train"]

_HOME = {
    "PRESETS": "presets",
    "RANK": "runs.distributed",
    "Interrupted": "host",
    "TrainConfig": "config",
    "TrainSummary": "runs.run",
    "preset": "presets",
    "train": "runs.run",
}

# Hidden from type checkers, to whom it would mean that any name exists.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
