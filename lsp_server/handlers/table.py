"""Every message and command that the server handles."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from lsprotocol import types

from lsp_server import methods
from lsp_server.handlers import (
    commands,
    completion,
    copilot,
    copilot_account,
    copilot_feedback,
    diagnosis,
    documents,
    lifecycle,
    notebooks,
    out_of_step,
    statistics,
    status,
    workspace,
)
from lsp_server.lsp_protocol import Protocol
from lsp_server.server import Server

FEATURES: Mapping[str, Callable[[Server, Any], Any]] = {
    types.INITIALIZE: lifecycle.initialize,
    types.INITIALIZED: lifecycle.initialized,
    types.SHUTDOWN: lifecycle.shutdown,
    types.EXIT: lifecycle.exit_,
    types.TEXT_DOCUMENT_DID_OPEN: documents.did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: documents.did_change,
    types.TEXT_DOCUMENT_DID_SAVE: documents.did_save,
    types.TEXT_DOCUMENT_DID_CLOSE: documents.did_close,
    types.NOTEBOOK_DOCUMENT_DID_OPEN: notebooks.did_open,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE: notebooks.did_change,
    types.NOTEBOOK_DOCUMENT_DID_SAVE: notebooks.did_save,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE: notebooks.did_close,
    types.TEXT_DOCUMENT_INLINE_COMPLETION: completion.inline_completion,
    types.TEXT_DOCUMENT_COMPLETION: completion.completion,
    types.COMPLETION_ITEM_RESOLVE: completion.resolve,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: workspace.did_change_configuration,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: workspace.did_change_folders,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: workspace.did_change_files,
    types.WORKSPACE_DID_CREATE_FILES: workspace.did_change_files_in_editor,
    types.WORKSPACE_DID_DELETE_FILES: workspace.did_change_files_in_editor,
    types.WORKSPACE_DID_RENAME_FILES: workspace.did_rename_files,
    methods.DID_MOVE_CURSOR: completion.did_move_cursor,
    methods.STATUS: status.status,
    methods.MEMORY: status.memory,
    methods.EXPLAIN: status.explain,
    methods.WAIT_UNTIL_INDEXED: status.wait_until_indexed,
    methods.DIAGNOSE: diagnosis.diagnose,
    methods.CLEAR_STORE: status.clear_store,
    methods.DID_SHOW: statistics.did_show,
    methods.DID_PARTIALLY_ACCEPT: statistics.did_partially_accept,
    methods.DID_DISMISS: statistics.did_dismiss,
    methods.STATISTICS: statistics.statistics,
    methods.CLEAR_STATISTICS: statistics.clear_statistics,
    # Copilot's dialect; see docs/decisions/0052-copilots-dialect.md
    "checkStatus": copilot_account.check_status,
    "signIn": copilot_account.sign_in,
    "signInInitiate": copilot_account.sign_in,
    "signInConfirm": copilot_account.check_status,
    "signOut": copilot_account.sign_out,
    "getVersion": copilot_account.get_version,
    "copilot/models": copilot_account.models,
    "getCompletions": copilot.get_completions,
    "getCompletionsCycling": copilot.get_completions_cycling,
    "getPanelCompletions": copilot.get_panel_completions,
    "textDocument/didShowCompletion": copilot_feedback.did_show,
    "textDocument/didPartiallyAcceptCompletion": copilot_feedback.did_partially_accept,
    "notifyShown": copilot_feedback.notify_shown,
    "notifyAccepted": copilot_feedback.notify_accepted,
    "notifyRejected": copilot_feedback.notify_rejected,
}

OPTIONS: Mapping[str, Any] = {
    # pygls advertises inline completion only if it has options.
    types.TEXT_DOCUMENT_INLINE_COMPLETION: types.InlineCompletionOptions(),
    types.TEXT_DOCUMENT_COMPLETION: types.CompletionOptions(resolve_provider=True),
    types.WORKSPACE_DID_CREATE_FILES: workspace.ALL_FILES,
    types.WORKSPACE_DID_DELETE_FILES: workspace.ALL_FILES,
    types.WORKSPACE_DID_RENAME_FILES: workspace.ALL_FILES,
}
"""Registration options of features that have some."""

COMMANDS: Mapping[str, Callable[..., Any]] = {
    "longllama.reindex": commands.reindex,
    "longllama.pauseIndexing": commands.pause_indexing,
    "longllama.resumeIndexing": commands.resume_indexing,
    "longllama.clearMemory": commands.clear_memory,
    "longllama.clearStore": commands.clear_store,
    "longllama.restart": commands.restart,
    "longllama.toggle": commands.toggle,
    "longllama.toggleLanguage": commands.toggle_language,
    "longllama.showStatus": commands.show_status,
    "longllama.explain": commands.explain,
    "longllama.diagnose": commands.diagnose,
    "longllama.snooze": commands.snooze,
    "longllama.showStatistics": commands.show_statistics,
    "longllama.clearStatistics": commands.clear_statistics,
    methods.DID_ACCEPT: commands.did_accept,
}
"""Commands of ``workspace/executeCommand``. pygls passes the server and the client's arguments."""


def new_server(command_line: Mapping[str, Any] | None = None, token: str | None = None) -> Server:
    """Return a server with all handlers registered; for the arguments see `Server`."""
    server = Server(command_line, token)
    for method, handler in FEATURES.items():
        # pygls passes the server first as the handler annotates its first parameter with `Server`.
        server.feature(method, OPTIONS.get(method))(handler)
    for name, handler in COMMANDS.items():
        server.command(name)(handler)
    protocol = cast("Protocol", server.protocol)
    protocol.on_not_understood = partial(out_of_step.not_understood, server)
    return server
