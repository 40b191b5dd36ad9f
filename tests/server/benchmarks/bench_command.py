"""Runs of ``longllama-lsp bench`` in this process, and what they leave."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_server.cli.main import main

Json = dict[str, Any]


@dataclass(frozen=True)
class Ran:
    """What a run returned, printed and wrote."""

    code: int
    out: str
    err: str
    output: Path

    @property
    def rows(self) -> list[Json]:
        """All results, without the first line, which describes the run."""
        path = self.output.with_suffix(".jsonl")
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines[1:]]

    @property
    def summary(self) -> Json:
        return json.loads(self.output.read_text())

    def written(self, suffix: str) -> str:
        return self.output.with_suffix(suffix).read_text()


def bench(name: str, data: Path, folder: Path, *more: str) -> Ran:
    """Run a benchmark, with its results in a folder."""
    output = folder / "out" / "result.json"
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["bench", name, str(data), "--output", str(output), *more])
    return Ran(code, out.getvalue(), err.getvalue(), output)


def scripted(folder: Path, *answers: Json) -> list[str]:
    """Return the options for a model with given answers, which stores nothing."""
    path = folder / "answers.json"
    path.write_text(json.dumps({"answers": list(answers)}))
    settings = {"memory": {"persist": False}}
    return ["--model", f"script:{path}", "--settings", json.dumps(settings)]


def small(model: str, **completion: int) -> list[str]:
    """Return the options for a small model that runs on a thread, and stores what it encodes."""
    settings = {"model": {"threads": 1}, "completion": completion}
    return ["--model", model, "--settings", json.dumps(settings)]
