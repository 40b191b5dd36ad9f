"""What can go wrong, drawn once.

    LongLlamaError
    ├── ConfigError        a setting or a model configuration contradicts itself
    ├── CheckpointError    a weight file is damaged, or of a kind that we do not read
    ├── ModelNotFound      no model of that name here
    ├── DownloadError      a model or package could not be fetched, or is not what was asked for
    ├── StoreError         the repository memory on disk cannot be read or written
    └── Cancelled          the caller no longer wants the answer

A message names the value that was found and ends with the remedy, so that it can be shown as is.
"""


class LongLlamaError(Exception):
    """Root of every error that this package raises on purpose."""


class ConfigError(LongLlamaError):
    """A setting or a model configuration contradicts itself."""


class CheckpointError(LongLlamaError):
    """A weight file is damaged, or of a kind that we do not read."""


class ModelNotFound(LongLlamaError):  # noqa: N818 - a state of this machine, not a fault of the code
    """No model of that name here; the message says how to get it."""


class DownloadError(LongLlamaError):
    """A model or package could not be fetched, or what came is not what was asked for."""


class StoreError(LongLlamaError):
    """The repository memory on disk cannot be read or written."""


class Cancelled(LongLlamaError):  # noqa: N818 - a request's end, not a fault
    """The caller no longer wants the answer."""
