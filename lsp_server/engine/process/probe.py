"""Reports, as JSON, what an engine process would find: torch, its device, the model's files.

``diagnosis`` runs it as a child process, as the server must not import torch. It loads no weights.
"""

import importlib.metadata
import json
import sys
from typing import Any

from longllama_code.errors import LongLlamaError
from lsp_server.engine.process import scripted


def probe(model: str) -> dict[str, Any]:
    """Return what is known without loading the model; errors are reported, not raised."""
    return {"torch": _torch(), "model": _model(model)}


def _torch() -> dict[str, Any]:
    try:
        import torch
    except Exception as error:  # a broken installation may raise anything
        return {"error": f"{type(error).__name__}: {error}"}
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    version = importlib.metadata.version("torch")
    return {"version": version, "device": device, "threads": torch.get_num_threads()}


def _model(name: str) -> dict[str, Any]:
    if name == "tiny":
        return {"name": name, "folder": None, "bytes": 0}
    if scripted.is_script(name):
        return _script(name)
    try:
        from longllama_code.model_sources.catalog import model_dir

        folder = model_dir(name)
        sizes = [path.stat().st_size for path in folder.iterdir() if path.is_file()]
    except Exception as error:
        return {"name": name, "error": str(error)}
    return {"name": name, "folder": str(folder), "bytes": sum(sizes)}


def _script(name: str) -> dict[str, Any]:
    try:
        scripted.ScriptedEngine.open(name)
    except LongLlamaError as error:
        return {"name": name, "error": str(error)}
    return {"name": name, "folder": None, "bytes": 0}


def main() -> int:
    """Print the report on the model named on the command line."""
    print(json.dumps(probe(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
