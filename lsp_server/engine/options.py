"""Options of an engine's client, and their way to the engine process's command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cattrs.preconf.json import make_converter

from longllama_code.engine_options import EngineOptions
from lsp_server.engine.python_command import python_command
from lsp_server.engine.shared_transport import Transport

_converter = make_converter()


@dataclass(frozen=True)
class ClientOptions:
    """Options of the engine to start or join, and of its client."""

    engine: EngineOptions
    is_shared: bool = False
    """Whether servers with equal engine options share one process."""
    idle_s: float = 0.0
    """Time that a shared engine stays after its last client has gone."""
    hang_timeout_s: float = 0.0
    """Time that a process may leave requests unanswered before it is restarted; 0: forever."""
    name: str = ""
    """Name of this client in the engine's status."""
    note: str = ""
    """Message for the user, shown with the engine's state; empty: none."""
    transport: Transport | None = None
    """Way to reach a shared engine; None: the one for this system."""

    def arguments(self) -> list[str]:
        """Return the arguments that are the same for every client of one shared engine."""
        return ["--options", _converter.dumps(self.engine)]

    def command(self, address: Path | None = None) -> list[str]:
        """Return the command line of an engine on stdin and stdout, or at an address."""
        command = [*python_command("lsp_server.engine_process"), *self.arguments()]
        return command if address is None else [*command, "--address", str(address)]


def parse(arguments: Sequence[str] | None = None) -> tuple[EngineOptions, Path | None]:
    """Return the options from a command line, and the address to serve at, if one is named."""
    parser = argparse.ArgumentParser(description="The engine of longllama-lsp; not for people.")
    parser.add_argument("--options", required=True, type=_from_json)
    parser.add_argument("--address", type=Path)
    parsed = parser.parse_args(arguments)
    return parsed.options, parsed.address


def _from_json(text: str) -> EngineOptions:
    return _converter.loads(text, EngineOptions)
