"""Indexing that is paused before the session has begun stays paused."""

import json

from lsp_server.session import Session


class SilentClient:
    """A client that shows nothing."""

    def status_changed(self, status):
        """Show nothing."""

    def warn(self, message, *, unless_client_can=""):
        """Show nothing."""


def session_in(tmp_path):
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"answers": []}))
    settings = {"model": {"path": f"script:{answers}"}, "memory": {"cacheDir": str(tmp_path / "c")}}
    return Session(SilentClient(), settings)


async def test_paused_before_it_began(tmp_path):
    root = tmp_path / "ws"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    session = session_in(tmp_path)
    session.backend.pause_indexing()
    try:
        await session.begin([root])
        status = await session.wait_until_settled()
        assert (status.phase, status.files.in_memory) == ("paused", 0)
        session.backend.resume_indexing()
        status = await session.wait_until_settled()
        assert (status.phase, status.files.in_memory) == ("ready", 1)
    finally:
        await session.end()
