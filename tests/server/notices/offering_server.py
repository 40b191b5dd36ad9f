"""A server on stdin and stdout with a short quiet time before the offer; its engine is a script.

However slow the machine is at other work, it counts as fast enough for the larger model.

``python offering_server.py SCRIPT``
"""

import sys

from longllama_code.model_sources.default_model import Chosen
from lsp_server import __main__
from lsp_server.engine.team import selection
from lsp_server.models import larger_model
from lsp_server.notices import larger_model_offer


def main() -> int:
    script = f"script:{sys.argv[1]}"
    selection.chosen_model = lambda _: Chosen(script)
    larger_model_offer.QUIET_S = 0.05
    larger_model.MAX_SUGGESTION_MS = 600_000
    larger_model_offer.available_bytes = lambda: None
    return __main__.main(["serve"])


if __name__ == "__main__":
    sys.exit(main())
