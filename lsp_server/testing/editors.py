"""Capabilities that editors send in ``initialize``.

Those of VS Code, Neovim and Emacs were recorded by pytest-lsp. Its VS Code is older than inline
completion, which vscode-languageclient 11 registers; it is added here. Those of Helix are from its
source (``helix-lsp/src/client.rs``), as far as they matter to a completion server.
"""

from collections.abc import Callable, Mapping

from lsprotocol import types
from pygls import protocol


def capabilities_of(editor: str) -> types.ClientCapabilities:
    """Return the capabilities of an editor.

    Raises:
        ValueError: the editor is unknown; the message lists those that are known.
    """
    try:
        return EDITORS[editor]()
    except KeyError:
        known = ", ".join(sorted(EDITORS))
        raise ValueError(f"unknown editor {editor!r}; choose one of {known}.") from None


def _recorded(name: str) -> types.ClientCapabilities:
    from pytest_lsp import client_capabilities

    return client_capabilities(name)


def _vscode() -> types.ClientCapabilities:
    recorded = _recorded("visual-studio-code")
    assert recorded.text_document is not None
    recorded.text_document.inline_completion = types.InlineCompletionClientCapabilities(
        dynamic_registration=True
    )
    return recorded


def _helix() -> types.ClientCapabilities:
    capabilities = {
        "general": {"positionEncodings": ["utf-8", "utf-32", "utf-16"]},
        "window": {"workDoneProgress": True},
        "workspace": {
            "configuration": True,
            "workspaceFolders": True,
            "applyEdit": True,
            "didChangeConfiguration": {"dynamicRegistration": False},
            "didChangeWatchedFiles": {"dynamicRegistration": True, "relativePatternSupport": False},
            "executeCommand": {"dynamicRegistration": False},
            "fileOperations": {"didRename": True, "willRename": True},
        },
        "textDocument": {
            "completion": {
                "completionItem": {
                    "snippetSupport": True,
                    "insertReplaceSupport": True,
                    "deprecatedSupport": True,
                    "resolveSupport": {
                        "properties": ["documentation", "detail", "additionalTextEdits"]
                    },
                },
                "completionItemKind": {},
            },
        },
    }
    return protocol.default_converter().structure(capabilities, types.ClientCapabilities)


EDITORS: Mapping[str, Callable[[], types.ClientCapabilities]] = {
    "vscode": _vscode,
    "neovim": lambda: _recorded("neovim"),
    "emacs": lambda: _recorded("emacs"),
    "helix": _helix,
}
"""Capabilities by the editor's name."""
