"""Errors that this package raises on purpose.

    LongLlamaError
    ├── ConfigError        a setting or a model configuration contradicts itself
    ├── CheckpointError    a weight file is damaged, or of a kind that is not supported
    ├── ModelNotFound      no model of that name on this machine
    ├── DownloadError      a model or package could not be downloaded, or differs from the request
    ├── StoreError         the repository memory on disk cannot be read or written
    └── Cancelled          the caller no longer wants the answer

A message names the value that was found and ends with the remedy, so it can be shown as it is.
"""


class LongLlamaError(Exception):
    """Root of every error that this package raises on purpose."""


class ConfigError(LongLlamaError):
    """A setting or a model configuration contradicts itself."""


class CheckpointError(LongLlamaError):
    """A weight file is damaged, or of a kind that is not supported."""


class ModelNotFound(LongLlamaError):  # noqa: N818 - a state of this machine, not a fault of the code
    """No model of that name is on this machine; the message says how to get it."""


class DownloadError(LongLlamaError):
    """A model or package could not be downloaded, or differs from what was requested."""


class StoreError(LongLlamaError):
    """The repository memory on disk cannot be read or written."""


class Cancelled(LongLlamaError):  # noqa: N818 - a request's end, not a fault
    """The caller no longer wants the answer."""


def without_package(error: ModuleNotFoundError, user: str) -> str:
    """Return what to tell where a package that something needs is not installed.

    Args:
        error: says which package.
        user: what needs it, such as "the model".
    """
    return (
        f"the package {error.name} is not installed here, and {user} needs it: install "
        "longllama-code-lsp with all of its packages"
    )
