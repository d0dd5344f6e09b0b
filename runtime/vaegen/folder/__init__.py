"""Reconstructing a folder of images, however many, into a mirrored one.

- `names` finds the images, one by one; `plan` sorts them on disk and finds what can be known to go wrong;
- `work` reads, reconstructs and writes them, here or in other processes;
- `unfinished` makes a killed run go on; `report` notes what became of each file;
- `run` puts these together. `jobs` has what they hand to each other.
"""

from vaegen.folder.jobs import FolderReport, Outcome
from vaegen.folder.run import dry_run, reconstruct_folder

__all__ = ["FolderReport", "Outcome", "dry_run", "reconstruct_folder"]
