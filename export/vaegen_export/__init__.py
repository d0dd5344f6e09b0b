"""From a finished training run to a bundle. Needs the training extra: pip install 'vaegen[train]'."""

from vaegen_export.bundle import export

__all__ = ["export"]
