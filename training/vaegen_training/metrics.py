"""What a run's losses were as it went."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from vaegen_training import checkpoint


class MetricsLog:
    """`metrics.jsonl`, one line for each stage and interval, and the same as `<stage>.metrics.csv`."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.path = folder / "metrics.jsonl"
        self.csv_path = folder / f"{stage}.metrics.csv"
        self.stage = stage

    def keep_until(self, step: int) -> None:
        """Drop this stage's lines from beyond `step`: a killed run wrote them after its last checkpoint."""
        kept = [line for line in self._lines() if line["stage"] != self.stage or line["step"] <= step]
        checkpoint.write_atomically(self.path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        mine = [line for line in kept if line["stage"] == self.stage]
        table = io.StringIO()
        if mine:
            writer = csv.DictWriter(table, mine[0].keys())
            writer.writeheader()
            writer.writerows(mine)
        checkpoint.write_atomically(self.csv_path, table.getvalue().encode())

    def write(self, step: int, images: int, means: dict[str, float]) -> None:
        """Add one line: means over the interval that ends at `step`."""
        line = {"stage": self.stage, "step": step, "images": images, **means}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        # Appended and not synced: a sync takes 10 ms, and what a power cut takes from here is written again.
        with self.csv_path.open("a", newline="") as file:
            writer = csv.DictWriter(file, line.keys())
            if not file.tell():
                writer.writeheader()
            writer.writerow(line)

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines = []
        for text in self.path.read_text().splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:  # a line that a kill cut short
                continue
        return lines
