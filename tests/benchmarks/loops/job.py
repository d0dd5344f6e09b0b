"""What is asked of a loop, as both ends of its pipes know it."""

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """What a loop trains."""

    kind: str
    """continuous, discrete or joint."""
    batch: int
    """Images in a step."""
    threads: int
    """Of torch."""


def request(job: Job, lead: int, steps: int) -> str:
    """Ask for `steps` steps, to be timed after `lead` others: one line."""
    return json.dumps({"job": dataclasses.asdict(job), "lead": lead, "steps": steps}) + "\n"
