"""The command serves another machine, as far as one machine can have it: two network namespaces.

Tokens and TLS are needed there, and used.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from longllama_code.cluster.rights import add_user

from .conftest import APP, REPOSITORY_ROOT, publish

LIMIT_S = 300.0
"""For what happens in any case."""
HOST, GUEST = "10.213.77.1", "10.213.77.2"
ASKS = """
import asyncio, json, sys
from pathlib import Path
from longllama_code.protocol import CompletionRequest
from lsp_server.engine.team.client import TeamClient
from lsp_server.engine.team.http import TeamAddress

async def ask(address):
    client = TeamClient(TeamAddress(*address), Path("."), "team/app")
    try:
        await client.join()
        result = await client.complete(CompletionRequest("c.py", "def f(value):\\n    v", "", 24))
        return [len(result.sources), (await client.status()).n_tokens]
    except Exception as error:
        return str(error)
    finally:
        await client.leave()

async def main():
    print(json.dumps([await ask(address) for address in json.loads(sys.argv[1])]))

asyncio.run(main())
"""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def namespaces() -> Iterator[tuple[str, str]]:
    """Two machines with a wire between them."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install '.[cluster]'")
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and the command ip")
    names = tuple(f"longllama-{os.getpid()}-{side}" for side in "ab")
    try:
        for name in names:
            ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine has no network namespaces: {error.stderr.decode()}")
    try:
        ip(
            "link",
            "add",
            "lla",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "llb",
            "netns",
            names[1],
        )
        for name, device, address in zip(names, ("lla", "llb"), (HOST, GUEST), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names[0], names[1]
    finally:
        for name in names:
            ip("netns", "del", name)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=cluster", "-addext", f"subjectAltName=IP:{HOST}"]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def test_the_command_serves_another_machine(
    namespaces: tuple[str, str],
    certificate: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    shared = str(tmp_path / "shared")
    publish(shared, tmp_path / "index", "team/app", APP)
    token = add_user(tmp_path / "tokens.json", "ada", ["team/*"])
    host, guest = namespaces
    command = ["ip", "netns", "exec", host, sys.executable, "-m", "longllama_code", "cluster"]
    command += ["serve", "--model", "tiny", "--store", shared, "--cpus", "0.5"]
    command += ["--cache-dir", str(tmp_path / "cache"), "--tokens", str(tmp_path / "tokens.json")]
    command += ["--host", HOST, "--tls-certificate", str(certificate[0])]
    command += ["--tls-key", str(certificate[1])]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT), "RAY_TMPDIR": "/tmp/lln"}
    said = tmp_path / "said"
    with said.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        url = f"https://{HOST}:8000/longllama"
        until = time.monotonic() + LIMIT_S
        while f"serving tiny at {url}" not in said.read_text():
            assert server.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(0.1)

        trusted = str(certificate[0])
        addresses = [[url, token, trusted], [url, "another", trusted], [url, token, ""]]
        addresses += [[url.replace("https", "http"), token, ""]]
        asks = ["ip", "netns", "exec", guest, sys.executable, "-c", ASKS, json.dumps(addresses)]
        asked = subprocess.run(asks, env=environment, capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stderr
        answer, stranger, doubter, plain = json.loads(asked.stdout)
        n_sources, n_tokens = answer
        assert n_sources > 0
        assert n_tokens > 5000
        assert "no such token" in stranger
        assert "certificate is not trusted" in doubter
        assert isinstance(plain, str)
        server.send_signal(signal.SIGINT)
        assert server.wait(LIMIT_S) == 130
    finally:
        _end(server)
        shutil.rmtree("/tmp/lln", ignore_errors=True)


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End what was started, where it did not end by itself."""
    if server.poll() is None:
        for process in psutil.Process(server.pid).children(recursive=True):
            process.kill()
        server.kill()
        server.wait()
