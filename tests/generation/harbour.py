"""A file that uses another one's definitions, and requests at a cursor in it."""

from collections.abc import Callable

from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

OFFICE = "from harbour.ship import Ship, moor\n\n\ndef arrive(name):\n    ship = Ship(name, 12)\n"
REQUEST = CompletionRequest(
    "office.py", OFFICE + "    return ship.", "\n", max_tokens=4, repository="port"
)


def complete(engine: Engine, request: CompletionRequest = REQUEST) -> CompletionResult:
    return engine.complete(request, lambda: False)


def shown(result: CompletionResult) -> set[str]:
    """Names of the definitions that a completion was shown."""
    return {each.name for each in result.definitions}
