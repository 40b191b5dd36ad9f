"""A cluster in the test's own event loop: it keeps what it was sent, and fails as it is told."""

import asyncio
import json
from dataclasses import asdict
from urllib.parse import parse_qs, urlsplit

from longllama_code import team_protocol as protocol
from longllama_code.protocol import CompletionResult, EngineStatus, RememberResult, Timings
from longllama_code.team_protocol import KnownFile, KnownRepository, digest_of

STATUS = EngineStatus("light", "cpu", "none", 0, 0, 0, 0, 0, 0, 0, 0, 0, None, token_bytes=7)


class TeamServer:
    """Speaks the protocol; its answer names the own files whose text it has."""

    def __init__(self, files):
        self.files = dict(files)
        self.revision = "r1"
        self.texts = {}
        self.asked = []
        self.bodies = []
        self.drops = 0
        """How many completions end in the middle of their answer."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.withdrawn = asyncio.Event()
        self.refusal = None
        self.withholds = set()
        """Paths whose requests have no answer."""
        self._server = None
        self._writers = set()
        self._has_ended = False
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/team"

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def end(self):
        """Stop for good, together with connections that were accepted a moment ago."""
        self._has_ended = True
        self.stop()
        for _ in range(10):  # turns of the loop, in which each such connection is served and ended
            await asyncio.sleep(0)

    async def _serve(self, reader, writer):
        if self._has_ended:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader, writer):
        method, target, _ = (await reader.readuntil(b"\r\n")).decode().split()
        headers = {}
        while (line := (await reader.readuntil(b"\r\n")).decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = urlsplit(target).path.removeprefix("/team")
        self.asked.append((path, headers))
        self.bodies.append(body)
        if self.refusal is not None:
            return self._send(writer, 403, {"error": self.refusal})
        if path in self.withholds:
            await reader.read(1)
            return False
        plain = json.loads(body) if method == "POST" else {}
        if path == protocol.HELLO:
            hello = {"version": protocol.VERSION, "status": asdict(STATUS)}
            return self._send(writer, 200, {**hello, "revision": self.revision})
        if path == protocol.REPOSITORY:
            name = parse_qs(urlsplit(target).query)["name"][0]
            return self._send(writer, 200, asdict(self._known(name)))
        if path == protocol.REMEMBER:
            return self._send(writer, 200, self._remember(plain))
        if path == protocol.COMPLETE:
            return await self._complete(reader, writer, plain)
        return self._send(writer, 200, asdict(STATUS) if path == protocol.STATUS else {})

    def _known(self, name):
        files = {path: KnownFile(digest_of(text), 10, 1) for path, text in self.files.items()}
        return KnownRepository(name, self.revision, "light", 7, files)

    def _missing(self, plain):
        wanted = plain["overlay"]["files"].items()
        have = {path: digest_of(text) for path, text in self.texts.items()}
        return [path for path, digest in wanted if digest and have.get(path) != digest]

    def _remember(self, plain):
        self.texts |= plain["texts"]
        results = [asdict(RememberResult(path, 5, 1, 1, 0, 0)) for path in plain["texts"]]
        return {"results": results, "missing": self._missing(plain)}

    async def _complete(self, reader, writer, plain):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._chunk(writer, {"so_far": "par"})
        if self.drops:
            self.drops -= 1
            return False
        waits = asyncio.ensure_future(self.may_answer.wait())
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait([waits, gone], return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        if gone.done():
            self.withdrawn.set()
            return False
        gone.cancel()
        await asyncio.wait([gone])
        missing = self._missing(plain)
        text = " ".join(["partial", *sorted(self.texts)])
        result = CompletionResult(text, "line", Timings())
        self._chunk(writer, {"result": asdict(result), "missing": missing})
        writer.write(b"0\r\n\r\n")
        return True

    @staticmethod
    def _chunk(writer, plain):
        line = json.dumps(plain).encode() + b"\n"
        writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    @staticmethod
    def _send(writer, status, plain):
        body = json.dumps(plain).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        return True
