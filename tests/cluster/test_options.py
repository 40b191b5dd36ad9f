"""What the command line says of a team's engine, on its way to the replicas."""

from pathlib import Path

import pytest

from longllama_code.__main__ import main
from longllama_code.cluster import app
from longllama_code.cluster.replica import ReplicaOptions
from longllama_code.engine_options import EngineOptions


def served(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> app.ServeOptions:
    """What would be served."""
    found: list[app.ServeOptions] = []
    monkeypatch.setattr(app, "serve_forever", found.append)
    assert main(["cluster", "serve", "--store", "memory://s", *arguments]) == 0
    return found[0]


def test_what_is_said_reaches_the_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ["--model", "tiny", "--device", "cuda", "--dtype", "float16", "--compile"]
    said += [
        "--cache-dir",
        "c",
        "--cpus",
        "3",
        "--max-store-bytes",
        "5",
        "--max-context-bytes",
        "6",
    ]
    options = served(monkeypatch, *said)
    assert app.replica_options(options) == ReplicaOptions(
        EngineOptions(
            "tiny",
            Path("c"),
            max_store_bytes=5,
            threads=3,
            device="cuda",
            dtype="float16",
            context_bytes=6,
            compile=True,
        ),
        "memory://s",
    )


def test_what_is_not_said_is_as_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(monkeypatch) == app.ServeOptions("memory://s")
