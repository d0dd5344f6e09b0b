"""Reconstructing a folder of images, however many, into a mirrored one.

- `listing` finds the images, one by one; `plan` sorts them on disk and finds what can be known to go wrong;
- `work` reads, reconstructs and writes them, here or in other processes;
- `unfinished` lets the same command resume a run that was killed;
- `report` has a line for each file;
- `run` puts these together.
"""

from vaegen.folder.run import FolderReport, Outcome, dry_run, reconstruct_folder

__all__ = ["FolderReport", "Outcome", "dry_run", "reconstruct_folder"]
