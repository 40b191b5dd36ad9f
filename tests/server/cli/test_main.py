"""The entry point of ``longllama-lsp``."""

import pytest

from longllama_code.errors import CheckpointError, StoreError
from lsp_server.cli import status
from lsp_server.cli.main import main


@pytest.mark.parametrize("error", [StoreError, CheckpointError, ValueError, OSError, RuntimeError])
def test_an_error_ends_with_its_message(error, monkeypatch, capsys):
    def fail(options):
        raise error("the store is damaged; remove it")

    monkeypatch.setattr(status, "configure", lambda parser: parser.set_defaults(run=fail))
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "longllama-lsp: the store is damaged; remove it\n"
