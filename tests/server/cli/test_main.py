"""The entry point of ``longllama-lsp``."""

from pathlib import Path

import pytest

from longllama_code.errors import CheckpointError, StoreError
from lsp_server import transports
from lsp_server.cli import status
from lsp_server.cli.main import main


@pytest.mark.parametrize("error", [StoreError, CheckpointError, ValueError, OSError, RuntimeError])
def test_an_error_ends_with_its_message(error, monkeypatch, capsys):
    def fail(options):
        raise error("the store is damaged; remove it")

    monkeypatch.setattr(status, "configure", lambda parser: parser.set_defaults(run=fail))
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "longllama-lsp: the store is damaged; remove it\n"


@pytest.mark.parametrize("option", ["--tcp", "--ws", "--http"])
@pytest.mark.parametrize("command", [[], ["serve"]])
@pytest.mark.parametrize("port", ["99999", "65536", "-1", "x"])
def test_a_port_that_is_none(option, command, port, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, f"{option}={port}"])
    assert caught.value.code == 2
    error = f"argument {option}: {port!r} is no port; give a number from 0 to 65535\n"
    assert capsys.readouterr().err.endswith(error)


@pytest.fixture
def served(monkeypatch):
    """Arguments of every call of the server."""
    calls = []

    def serve(*arguments):
        calls.append(arguments)
        return 0

    monkeypatch.setattr(transports, "serve", serve)
    monkeypatch.setattr(transports, "serve_http", serve)
    monkeypatch.delenv("LONGLLAMA_TOKEN", raising=False)
    return calls


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "script:a.json", "--tcp", "0"],
        ["--model", "script:a.json", "--tcp", "0", "serve"],
        ["--model", "script:a.json", "serve", "--tcp", "0"],
        ["--model", "other", "--tcp", "1", "serve", "--model", "script:a.json", "--tcp", "0"],
        ["serve", "--tcp", "0", "--model", "script:a.json"],
    ],
)
def test_options_before_the_command_hold_unless_it_gives_them(arguments, served):
    assert main(arguments) == 0
    assert served == [("tcp", "127.0.0.1", 0, {"model": {"path": "script:a.json"}}, None)]


def test_an_address_before_the_command_holds(served):
    assert main(["--host", "::1", "--ws", "0", "serve"]) == 0
    assert served == [("ws", "::1", 0, {}, None)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--tcp", "1", "--http", "2"], ("tcp", "127.0.0.1", 1, {}, None, 2)),
        (["--ws", "0", "--http", "0"], ("ws", "127.0.0.1", 0, {}, None, 0)),
        (["--stdio", "--http", "8012"], ("stdio", "127.0.0.1", 0, {}, None, 8012)),
    ],
)
@pytest.mark.parametrize("command", [[], ["serve"]])
def test_http_beside_a_transport(arguments, expected, command, served):
    assert main([*command, *arguments]) == 0
    assert served == [expected]


def test_http_alone_has_the_folder_that_is_named_or_the_current_one(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--http", "1", "--root", "/"]) == 0
    assert main(["--host", "::1", "--http", "2"]) == 0
    assert served == [
        (Path("/"), "127.0.0.1", 1, {}, None),
        (tmp_path, "::1", 2, {}, None),
    ]


def test_a_folder_beside_a_language_client_is_refused(served, tmp_path, capsys):
    assert main(["serve", "--stdio", "--http", "1", "--root", str(tmp_path)]) == 1
    assert "--root is for --http alone" in capsys.readouterr().err
    assert served == []


@pytest.mark.parametrize(
    "option", [["--tcp", "0"], ["--ws", "0"], ["--http", "0"], ["--host", "::1"]]
)
def test_options_of_serve_before_another_command(option, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*option, "status"])
    assert caught.value.code == 2
    assert f"{option[0]} is an option of serve alone" in capsys.readouterr().err
