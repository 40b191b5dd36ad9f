"""The real server in the tests' process, which takes and sends messages as dictionaries.

Only the engine is replaced: it answers at once, unless a test makes it wait. Nothing is sent but
what the test sends.
"""

import asyncio
import itertools
import json
from typing import Any

from longllama_code.protocol import CompletionResult, EngineStatus, RememberResult, Source, Timings
from lsp_server.engine.client import EngineState
from lsp_server.engine.team import selection
from lsp_server.handlers.table import new_server
from tests.deadline import DEADLINE_S

Json = dict[str, Any]


class StandInClient:
    """Stands in for the engine client: the same names, no process."""

    latest: "StandInClient"

    def __init__(self, options, on_state):
        StandInClient.latest = self
        self.options = options
        self.on_state = on_state
        self.state = EngineState.STOPPED
        self.message, self.n_restarts, self.pid, self.hung = "", 0, None, False
        self.token_bytes = 1
        self.is_limited, self.note, self.store_problem = True, "", None
        self.texts: dict[str, str] = {}
        self.asked: list[Any] = []
        self.n_remembered = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.n_cancelled = 0

    @property
    def ready(self):
        return self.state is EngineState.READY

    async def start(self):
        self.state = EngineState.READY
        asyncio.get_running_loop().call_soon(self.on_state, self.state, "")

    async def stop(self):
        self.state = EngineState.STOPPED

    async def remember(self, path, text, folder=""):
        self.texts[path] = text
        self.n_remembered += 1
        return RememberResult(path, len(text), 1, 1, 0, 0)

    async def define(self, texts):
        return True

    async def forget(self, paths):
        for path in paths:
            self.texts.pop(path, None)

    async def complete(self, request, tell):
        self.asked.append(request)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise
        sources = [Source(path, 1, 2, 0.5) for path in list(self.texts)[:1]]
        return CompletionResult("text()", "line", Timings(1.0, 2.0, 0, 3, 4), sources)

    async def status(self):
        n_tokens = sum(map(len, self.texts.values()))
        return EngineStatus(
            "list", "cpu", "none", len(self.texts), 0, n_tokens, 0, 0, 0, 0, 0, 0, None
        )


class RpcError(Exception):
    def __init__(self, code, message):
        super().__init__(code, message)
        self.code, self.message = code, message


class Wire:
    """Both ends of a connection to the server."""

    def __init__(self, monkeypatch, token=None, command_line=None):
        monkeypatch.setattr(selection, "EngineClient", StandInClient)
        self.server = new_server(command_line, token)
        self.server.protocol.set_writer(self)
        self.heard: list[tuple[str, Any]] = []
        """Requests and notifications of the server: method and parameters, in order."""
        self.answers: dict[str, Any] = {}
        """Results of the server's requests by method; null for any other."""
        self.answers_with: Json = {}
        """Further fields of the client's answers."""
        self.withholds: set[str] = set()
        """Methods of the server's requests that have no answer until `release`."""
        self._withheld: list[Json] = []
        self.n_answers: dict[Any, int] = {}
        self.raw: dict[Any, Json] = {}
        """The server's last answer by the id of its request."""
        self._waiting: dict[Any, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self.last_id = 0
        """Id of the last request."""
        self._news = asyncio.Event()

    # The server's side.

    def write(self, data):
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if "method" not in message:
            self._take_answer(message)
        else:
            self.heard.append((message["method"], message.get("params")))
            if "id" in message:
                self._answer(message)
        self._news.set()

    def close(self):
        pass

    def _take_answer(self, message):
        self.raw[message["id"]] = message
        self.n_answers[message["id"]] = self.n_answers.get(message["id"], 0) + 1
        future = self._waiting.get(message["id"])
        if future is None or future.done():
            return
        if error := message.get("error"):
            future.set_exception(RpcError(error["code"], error["message"]))
        else:
            future.set_result(message.get("result"))

    def _answer(self, message):
        result = self.answers.get(message["method"])
        answer = {"id": message["id"], "result": result, **self.answers_with}
        if message["method"] in self.withholds:
            self._withheld.append(answer)
        else:
            asyncio.get_running_loop().call_soon(self._send, answer)

    def release(self):
        """Send the answers that were withheld."""
        self.withholds.clear()
        for answer in self._withheld:
            self._send(answer)
        self._withheld.clear()

    # The client's side.

    def _send(self, message):
        protocol = self.server.protocol
        protocol.handle_message(protocol.structure_message({"jsonrpc": "2.0", **message}))

    def notify(self, method, **params):
        self._send({"method": method, "params": params})

    def ask(self, method, **params):
        """Send a request, and return a future of its result."""
        return self.ask_as_is(method, params)

    def ask_as_is(self, method, params):
        """Send a request with any parameters, valid or not."""
        self.last_id = msg_id = next(self._ids)
        self._waiting[msg_id] = asyncio.get_running_loop().create_future()
        self._send({"id": msg_id, "method": method, "params": params})
        return asyncio.wait_for(self._waiting[msg_id], DEADLINE_S)

    async def begin(self, *roots, can=None, options=None, **params):
        """Complete the handshake, and return the result of ``initialize``."""
        folders = [{"uri": root.as_uri(), "name": root.name} for root in roots]
        result = await self.ask(
            "initialize",
            processId=None,
            rootUri=None,
            capabilities=can or {"textDocument": {"inlineCompletion": {}}},
            initializationOptions={
                "statistics": {"enable": False},
                **(options or {"trigger": {"debounceMs": 0}}),
            },
            workspaceFolders=folders,
            **params,
        )
        self.notify("initialized")
        await self.until(lambda: self.statuses)
        return result

    async def indexed(self):
        return await self.ask("longllama/waitUntilIndexed")

    async def command(self, name, *arguments):
        return await self.ask("workspace/executeCommand", command=name, arguments=list(arguments))

    def open(self, uri, text, language="python"):
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", textDocument=item)
        return uri

    def inline(self, uri, line, character, kind=1, selected=None):
        """Request ghost text (kind 1: invoked, 2: automatic)."""
        context = {"triggerKind": kind}
        if selected is not None:
            context["selectedCompletionInfo"] = selected
        return self.ask(
            "textDocument/inlineCompletion",
            textDocument={"uri": uri},
            position={"line": line, "character": character},
            context=context,
        )

    def said(self, method):
        """Return the parameters of all requests and notifications of a method."""
        return [params for name, params in self.heard if name == method]

    def text_of(self, uri):
        """Return the text of a document as the server has it; None if it has none."""
        document = self.server.session.documents.get(uri)
        return None if document is None else document.text

    @property
    def statuses(self):
        return self.said("longllama/didChangeStatus")

    @property
    def messages(self):
        return [params["message"] for params in self.said("window/showMessage")]

    @property
    def engine(self):
        return StandInClient.latest

    async def until(self, is_so):
        async def wait():
            while not is_so():
                self._news.clear()
                await asyncio.wait([asyncio.ensure_future(self._news.wait())], timeout=0.02)

        await asyncio.wait_for(wait(), DEADLINE_S)

    async def end(self):
        await self.server.close()
