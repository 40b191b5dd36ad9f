"""What clients of Copilot's language server ask about accounts and models.

There is no account: whoever asks is told that somebody is signed in, as clients ask for no
suggestion before.
"""

from typing import Any

from lsp_server import __version__
from lsp_server.server import Server

USER = "longllama-lsp, without an account"
"""Name of the user, which clients show."""

Json = dict[str, Any]


def check_status(server: Server, _: Any) -> Json:
    """Return that the user may have suggestions."""
    return {"status": "OK", "user": USER}


def sign_in(server: Server, _: Any) -> Json:
    """Return that nothing is left to be done to sign in."""
    return {"status": "AlreadySignedIn", "user": USER}


def sign_out(server: Server, _: Any) -> Json:
    """Return that there is no account to leave."""
    return {"status": "NotSignedIn"}


def get_version(server: Server, _: Any) -> Json:
    """Return the server's version."""
    return {"version": __version__}


def models(server: Server, _: Any) -> list[Json]:
    """Return the model that the settings name, the only one to choose here."""
    name = server.session.settings.model.path
    return [{"id": name, "modelName": name, "scopes": ["completion"], "default": True}]
