"""Stand-in for llama.cpp's server: a program with its command line and its part of HTTP.

It runs as a program of its own, in a folder where tests say what it answers and read what it was
asked. It knows no model, and cannot show what llama.cpp makes of a request.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PROGRAM, REQUESTS, ANSWERS, START = "llama-server", "requests.jsonl", "answers.json", "start.json"
BROKEN = "no model"
"""Content of a model's file that cannot be loaded."""
DIE, REFUSE, BABBLE = "die", "refuse", "babble"
"""Prompts upon which it ends, refuses, or answers something else."""


@dataclass(frozen=True)
class StandInAnswer:
    """What it answers to the requests with one ``prompt``."""

    content: str = ""
    after_file: str = ""
    """Name of a file of the folder that must exist before it answers."""


@dataclass(frozen=True)
class StandIn:
    """Folder of a stand-in."""

    folder: Path

    @property
    def program(self) -> str:
        return str(self.folder / PROGRAM)

    @property
    def model(self) -> Path:
        return self.folder / "model.gguf"

    @property
    def start(self) -> Json:
        """Arguments, environment and process of its last start."""
        return json.loads((self.folder / START).read_text())

    @property
    def requests(self) -> list[Json]:
        path = self.folder / REQUESTS
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    @property
    def asked(self) -> list[Json]:
        """Requests for text, without updates of the ring."""
        return [request for request in self.requests if request["n_predict"]]

    def answer(self, **answers: "StandInAnswer | str") -> None:
        self.answer_prompts(answers)

    def answer_prompts(self, answers: "dict[str, StandInAnswer | str]") -> None:
        """Set the answers by ``prompt``; those of other prompts are empty."""
        full = {
            prompt: asdict(StandInAnswer(answer) if isinstance(answer, str) else answer)
            for prompt, answer in answers.items()
        }
        (self.folder / ANSWERS).write_text(json.dumps(full))


def stand_in(folder: Path) -> StandIn:
    """Return a stand-in in a folder that exists."""
    made = StandIn(folder)
    program = Path(made.program)
    program.write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
    program.chmod(0o755)
    made.model.write_text("a model")
    return made


class _Handler(BaseHTTPRequestHandler):
    n_health = 0

    def do_GET(self) -> None:
        _Handler.n_health += 1
        self._respond(503 if _Handler.n_health == 1 else 200, {})

    def do_POST(self) -> None:
        folder = Path(__file__).parent
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with (folder / REQUESTS).open("ab") as requests:
            requests.write(body + b"\n")
        request: Json = json.loads(body)
        prompt = request["prompt"]
        if prompt == DIE:
            print("the stand-in dies", flush=True)
            os._exit(3)
        if prompt in (REFUSE, BABBLE):
            status = 400 if prompt == REFUSE else 200
            self._respond(status, {"error": {"message": f"as told: {prompt}"}})
            return
        answer = StandInAnswer()
        if request["n_predict"] and (folder / ANSWERS).exists():
            answers = json.loads((folder / ANSWERS).read_text())
            answer = StandInAnswer(**answers.get(prompt, {}))
        while answer.after_file and not (folder / answer.after_file).exists():
            time.sleep(0.01)
        self._respond(200, _response(request, answer.content))

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _respond(self, status: int, answer: Json) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _response(request: Json, content: str) -> Json:
    texts = [chunk["text"] for chunk in request["input_extra"]]
    texts += [request["input_prefix"], request["input_suffix"], request["prompt"]]
    n_tokens = len(" ".join(texts).split())
    return {
        "content": content,
        "stop_type": "eos",
        "tokens_evaluated": n_tokens,
        "tokens_predicted": len(content.split()),
        "timings": {"prompt_n": n_tokens - 1},
    }


def _main() -> None:
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print("version: 7 (stand-in)\nbuilt with nothing", file=sys.stderr)
        return
    environment = [name for name in os.environ if name.startswith("LLAMA_ARG_")]
    start = {"arguments": arguments, "environment": environment, "pid": os.getpid()}
    (Path(__file__).parent / START).write_text(json.dumps(start))
    if Path(arguments[arguments.index("--model") + 1]).read_text() == BROKEN:
        sys.exit("the stand-in cannot load this")
    port = int(arguments[arguments.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), _Handler).serve_forever()


if __name__ == "__main__":
    _main()
