"""Lazy imports of the packages in the extra ``cluster``."""

import importlib
import os
from typing import Any

from longllama_code.errors import ConfigError


def required(name: str) -> Any:
    """Return a module of the extra; Ray's usage reports are switched off.

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
