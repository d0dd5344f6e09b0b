"""Every error that vaegen raises on purpose.

::

    VaegenError                  the one `except` an embedding program needs
    +-- BundleError              the model folder cannot be used
    |   +-- IntegrityError       its bytes are not the ones the manifest vouches for
    +-- ImageError               an input picture cannot be read
    +-- RequestError             the call asks for something that does not exist (also a ValueError)
    +-- OutputError              the result cannot be written where it should go
    +-- MissingExtraError        a verb needs packages that are not installed
    +-- DataError                the training data is absent, incomplete or damaged
    +-- ConfigError              a training or export setting is not valid (also a ValueError)
    +-- ExportError              an export failed its own checks; nothing was written

Each message is one line: the value, the choices, what to do next.
"""


class VaegenError(Exception):
    """Base class of all errors that vaegen raises on purpose."""


class BundleError(VaegenError):
    """A folder is not a model bundle, or one this version of vaegen cannot use.

    Its message quotes names from files that anybody may have made; whatever cannot be printed is escaped.
    """

    def __init__(self, message: str) -> None:
        from vaegen.files import shown

        super().__init__(shown(message))


class IntegrityError(BundleError):
    """A file of a bundle differs from what its manifest records: damaged or tampered with."""


class ImageError(VaegenError):
    """An input image cannot be read, or is refused as unsafe."""


class RequestError(VaegenError, ValueError):
    """A call asks for a value, shape or dtype that does not exist."""


class OutputError(VaegenError):
    """A result cannot be written to its target, or would overwrite a file."""


class MissingExtraError(VaegenError):
    """A verb needs packages of an extra that is not installed."""


class DataError(VaegenError):
    """Training data is absent, incomplete or damaged."""


class ConfigError(VaegenError, ValueError):
    """A training or export setting has an unknown name, a wrong type or a value out of range."""


class ExportError(VaegenError):
    """An export failed its own checks; nothing was written."""
