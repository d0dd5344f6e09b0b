"""What models are trained on: MNIST's gray digits (`mnist`), painted afresh for each step (`paint`)."""

from vaegen_training.data.mnist import Mnist, load

__all__ = ["Mnist", "load"]
