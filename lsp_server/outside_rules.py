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
    """Call `on_change` whenever such rules change, until cancelled.

    Rules that a scan meets for the first time are no change.
    """
    seen, before = workspace(), workspace().outside_stamps()
    while True:
        await asyncio.sleep(INTERVAL_S)
        current = workspace()
        try:
            stamps = await asyncio.to_thread(current.outside_stamps)
        except Exception:  # the next look may succeed
            logger.exception("git's rules outside of the workspace could not be looked at")
            continue
        known = before if current is seen else {}
        has_changed = any(known[file] != stamp for file, stamp in stamps.items() if file in known)
        seen, before = current, stamps
        if has_changed:
            current.forget_repositories()
            on_change()
