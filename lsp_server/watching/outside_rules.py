"""News of git's rules that no watcher reports: `info/exclude`, and the user's own file."""

import asyncio
import logging
from collections.abc import Callable

from longllama_code.source_files.workspace import Workspace

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
"""Time between two looks, each of which takes a few calls of the system."""


async def follow_outside_rules(
    workspace: Callable[[], Workspace], on_change: Callable[[], None]
) -> None:
    """Call `on_change` whenever such rules change, until cancelled."""
    while True:
        await asyncio.sleep(INTERVAL_S)
        try:
            if await asyncio.to_thread(workspace().renew):
                on_change()
        except Exception:  # the next look may succeed
            logger.exception("git's rules outside of the workspace could not be looked at")
