"""The packages of the extra ``cluster``, imported where they are needed."""

import importlib
import os
from typing import Any

from longllama_code.errors import ConfigError


def required(name: str) -> Any:
    """A module of the extra; Ray is told to report its use to nobody.

    Raises:
        ConfigError: the extra is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{name} is not installed, which a cluster needs; install the extra with "
            "`pip install 'longllama-code-lsp[cluster]'`."
        ) from error
