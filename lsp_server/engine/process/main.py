"""Engine process: begins with the model's weights, then imports what serves them."""

import signal
from contextlib import suppress

from longllama_code.engine_options import EngineOptions
from lsp_server.engine.options import parse
from lsp_server.engine.process.collector import collector_off
from lsp_server.engine.process.scripted import is_script


def main() -> None:
    """Parse the command line, and serve."""
    options, address = parse()
    if address is None:
        # Ctrl-C in a terminal reaches all processes there; this one ends with its parent.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with collector_off():
        if not is_script(options.model):
            _begin(options)
        from lsp_server.engine.process.serving import serve
    serve(options, address)


def _begin(options: EngineOptions) -> None:
    """Have other threads begin with the weights; what is missing for it, opening the model says."""
    with suppress(ModuleNotFoundError):
        from longllama_code.generation import ahead

        ahead.begin(options)
