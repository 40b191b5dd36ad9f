"""Clients that were written for Copilot's language server, by how they introduce themselves.

They name themselves in ``initializationOptions`` and count characters in UTF-16 units, whatever
they announce: that server agrees on no other encoding.
"""

from typing import Any, cast

from lsprotocol import types

INTRODUCTION = ("editorInfo", "editorPluginInfo", "networkProxy")
"""Options with which such clients begin; they are no settings."""


def is_copilot_client(options: Any) -> bool:
    """Whether a client's options are an introduction to Copilot's server."""
    return isinstance(options, dict) and isinstance(
        cast("dict[str, Any]", options).get("editorPluginInfo"), dict
    )


def without_introduction(options: Any) -> Any:
    """Return options without what introduces a client to Copilot's server."""
    if not is_copilot_client(options):
        return options
    return {key: value for key, value in options.items() if key not in INTRODUCTION}


def count_utf16(params: types.InitializeParams) -> None:
    """Leave UTF-16 as the only encoding to agree on, if the client counts in it anyway."""
    general = params.capabilities.general
    if general is not None and is_copilot_client(params.initialization_options):
        general.position_encodings = None
