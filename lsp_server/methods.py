"""Names of the LSP methods and commands that are this server's own, for both ends."""

STATUS = "longllama/status"
MEMORY = "longllama/memory"
EXPLAIN = "longllama/explain"
WAIT_UNTIL_INDEXED = "longllama/waitUntilIndexed"
DIAGNOSE = "longllama/diagnose"
CLEAR_STORE = "longllama/clearStore"

DID_MOVE_CURSOR = "longllama/didMoveCursor"
"""Notification of the client: its user put the cursor somewhere else, without typing."""
DID_CHANGE_STATUS = "longllama/didChangeStatus"
"""Notification of the server."""
CHOOSE_MODEL = "longllama/chooseModel"
"""Request of the server: name another model in the user's settings. ``true`` if that was done."""

COPILOT_STATUS = "didChangeStatus"
PANEL_SOLUTION = "PanelSolution"
PANEL_SOLUTIONS_DONE = "PanelSolutionsDone"
"""Notifications of the server to clients that were written for Copilot's."""

DID_ACCEPT = "longllama.didAccept"
"""Command that a client runs when the user accepts a suggestion."""
