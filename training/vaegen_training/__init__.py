"""Training of the three VAEs, their conditional prior and the judge. Needs the extra: pip install 'vaegen[train]'."""

from vaegen_training.config import TrainConfig
from vaegen_training.host import Interrupted
from vaegen_training.presets import PRESETS, preset
from vaegen_training.train.distributed import RANK
from vaegen_training.train.run import TrainSummary, train

__all__ = ["PRESETS", "RANK", "Interrupted", "TrainConfig", "TrainSummary", "preset", "train"]
