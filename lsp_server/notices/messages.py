"""``window/showMessage``."""

from lsprotocol import types
from pygls.lsp.server import LanguageServer


def show_message(server: LanguageServer, text: str, *, is_warning: bool = False) -> None:
    """Show a message to the user."""
    kind = types.MessageType.Warning if is_warning else types.MessageType.Info
    server.window_show_message(types.ShowMessageParams(kind, text))
