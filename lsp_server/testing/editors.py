"""What editors say of themselves in ``initialize``, so that a test can be any of them.

VS Code, Neovim and Emacs are those that pytest-lsp recorded. Its VS Code is older than ghost text
in LSP, which vscode-languageclient 11 registers; that is added here. Helix is written down from its
source (``helix-lsp/src/client.rs``), as far as a server of completions can tell.
"""

from collections.abc import Callable, Mapping

from lsprotocol import types
from pygls import protocol


def capabilities_of(editor: str) -> types.ClientCapabilities:
    """The capabilities of an editor by its name.

    Raises:
        ValueError: no editor of that name is known; the message lists those that are.
    """
    try:
        return EDITORS[editor]()
    except KeyError:
        known = ", ".join(sorted(EDITORS))
        raise ValueError(f"{editor!r} is no editor that is known; choose one of {known}.") from None


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
    said = {
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
    return protocol.default_converter().structure(said, types.ClientCapabilities)


EDITORS: Mapping[str, Callable[[], types.ClientCapabilities]] = {
    "vscode": _vscode,
    "neovim": lambda: _recorded("neovim"),
    "emacs": lambda: _recorded("emacs"),
    "helix": _helix,
}
"""Every editor that a test can be."""
