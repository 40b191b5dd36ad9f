"""The server as on a system without Unix sockets: its engines are shared over loopback."""

import os
import sys
from functools import partial
from pathlib import Path

from lsp_server.cli.main import main
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.shared_loopback import LoopbackPorts
from lsp_server.engine.team import selection

if __name__ == "__main__":
    transport = LoopbackPorts(Path(os.environ["XDG_RUNTIME_DIR"]) / "loopback")
    selection.ClientOptions = partial(ClientOptions, transport=transport)
    sys.exit(main())
