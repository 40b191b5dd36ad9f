"""What the engine's host does before and after its clients know that the engine is there."""

import asyncio
import json
import subprocess
import sys

import pytest

from lsp_server.engine.process.host import EngineHost
from lsp_server.engine.protocol import COMPLETE, HELLO, READY, VERSION, Hello, to_plain
from tests.deadline import DEADLINE_S
from tests.server.engine.light_engine import LightEngine


class Client:
    """Both ends of a connection in this process: it says hello, and hears what is sent."""

    def __init__(self, log):
        self._log, self._sent = log, asyncio.StreamReader()
        self.readline, self.readexactly = self._sent.readline, self._sent.readexactly

    def say(self, method, params, number=1):
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        body = json.dumps(message).encode()
        self._sent.feed_data(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def write(self, data):
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        self._log.append(message.get("method") or message["id"])

    def leave(self):
        self._sent.feed_eof()

    def close(self):
        pass


class WarmedEngine(LightEngine):
    def __init__(self, log, shared=None):
        super().__init__(shared)
        self._log = log

    def fork(self):
        return WarmedEngine(self._log, self.shared)

    def warm_up(self):
        self._log.append("warm up")
        raise RuntimeError("no room")


async def until(holds):
    async def look():
        while not holds():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), DEADLINE_S)


async def test_it_is_warmed_up_once_when_its_first_client_knows(caplog):
    log = []
    host = EngineHost(lambda: WarmedEngine(log))
    clients = [Client(log), Client(log)]
    serving = [asyncio.create_task(host.serve(client, client)) for client in clients]
    for client in clients:
        client.say(HELLO, to_plain(Hello(VERSION)))
        await until(lambda: "warm up" in log)
    await until(lambda: log.count(READY) == 2)
    assert log.index(READY) < log.index("warm up")
    assert log.count("warm up") == 1
    assert "could not be prepared" in caplog.text
    # A failure there is nobody's, and ends nothing.
    request = {"path": "a.py", "prefix": "", "suffix": ""}
    clients[1].say(COMPLETE, {"number": 1, "request": request}, 7)
    await until(lambda: 7 in log)
    for client in clients:
        client.leave()
    await asyncio.gather(*serving)


@pytest.mark.parametrize("module", ["pygls", "lsprotocol", "asyncio"])
def test_the_weights_begin_before_the_protocol_is_imported(module):
    code = f"import sys, lsp_server.engine.process.main; print({module!r} in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    assert (done.stdout, done.stderr) == ("False\n", "")
