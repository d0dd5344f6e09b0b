"""Vaegen as a web service: an ASGI application, and what runs it (the extra `serve`: Starlette on uvicorn).

    app(models, limits)      the application, for any ASGI server or to be mounted in another application
    listen, run              what `vaegen serve` does with it: a socket, uvicorn, signals

A request is read by `parameters` and `application`, waits for a thread in `workers`, and is answered by `endpoints`,
one table of which validates what comes in and describes itself in `/openapi.json` (`openapi`).
"""

from vaegen.errors import MissingExtraError

try:
    import starlette.applications  # noqa: F401, so that what is missing is said now
    import uvicorn  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"the server needs the extra 'serve' ({error.name} is not installed): pip install 'vaegen[serve]'"
    ) from error

from vaegen.server.application import app
from vaegen.server.limits import Limits
from vaegen.server.service import LOCAL, address, is_local, listen, run

__all__ = ["LOCAL", "Limits", "address", "app", "is_local", "listen", "run"]
