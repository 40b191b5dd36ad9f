"""Cost of the scan for secrets: CPU time of each file, and delay of an event loop.

Usage: python tests/bench/secret_scan.py [FOLDER]; without it, this repository.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path

from longllama_code.source_files.secret_scan import find_secret
from longllama_code.source_files.source_text import read_source
from longllama_code.source_files.workspace import Workspace

TICK_S = 0.002
LARGE_CHARS = 500_000


def texts_of(folder: Path) -> dict[str, str]:
    """Return the source files of a folder, as the server would read them."""
    entries = [entry for entry in Workspace([folder]).scan() if entry.exclusion is None]
    return {entry.relative: read_source(entry.path) for entry in entries}


def cost(texts: dict[str, str]) -> dict[str, object]:
    """CPU time of scanning every file, and which of them are left out."""
    started = time.process_time()
    found = [name for name, text in texts.items() if find_secret(name, text) is not None]
    cpu_s = time.process_time() - started
    n_chars = sum(map(len, texts.values()))
    return {
        "files": len(texts),
        "cpu_ms_per_file": 1000 * cpu_s / len(texts),
        "cpu_s_per_mb": 1e6 * cpu_s / n_chars,
        "left_out": found,
    }


async def delays(text: str | None) -> dict[str, float]:
    """Return the delay of an event loop in milliseconds, with or without a scan."""
    late_ms: list[float] = []

    async def tick() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(TICK_S)
            late_ms.append(1000 * (time.perf_counter() - started - TICK_S))

    ticking = asyncio.create_task(tick())
    await (asyncio.sleep(1) if text is None else asyncio.to_thread(find_secret, "a.py", text))
    ticking.cancel()
    late_ms.sort()
    return {"p50_ms": statistics.median(late_ms), "p99_ms": late_ms[int(0.99 * len(late_ms))]}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parents[2])
    texts = texts_of(parser.parse_args().folder)
    find_secret("a.py", "")  # the import
    joined = "".join(texts.values())
    large = (joined * (1 + LARGE_CHARS // len(joined)))[:LARGE_CHARS]
    result = {
        **cost(texts),
        "loop_beside_nothing": asyncio.run(delays(None)),
        "loop_beside_a_scan_of_500_kB": asyncio.run(delays(large)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
