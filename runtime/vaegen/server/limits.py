"""What one request, and all of them together, may take."""

from dataclasses import dataclass, field

from vaegen.process import usable_cores

QUERY = 8192  # bytes of a query
JSON = 2**22  # bytes of a body of JSON, whose lists take 20 times as much memory
DRAWN = 2**24  # pixels that one answer may have, 50 MB before they are compressed


@dataclass(frozen=True)
class Limits:
    """What requests may take; each is 1 or more."""

    body: int = 2**24
    """Bytes of a request's body; JSON may have at most 2**22 of them."""
    pixels: int = 2**26
    """Pixels of an image that is sent: 67 million; the largest take 200 MB for each worker."""
    count: int = 1000
    """Images of one answer, and latents of one request."""
    seconds: float = 30
    """From a request's first line until its answer."""
    queue: int = 256
    """Requests that may wait for a worker; 0 or more."""
    workers: int = field(default_factory=usable_cores)
    """Threads that work; each adds 6 MB to what a model takes."""

    @property
    def bodies(self) -> int:
        """Bytes that the bodies of all requests at work may have together."""
        return 8 * self.body
