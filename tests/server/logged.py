"""Lines that the server has logged in this process."""

import pytest


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages of the server's own loggers."""
    return [
        record.getMessage() for record in caplog.records if record.name.startswith("lsp_server")
    ]
