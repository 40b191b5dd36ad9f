"""All benchmarks, one after the other: they would disturb each other.

Usage: python tests/bench/run.py [NAME ...]
"""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "startup",
    "encoding",
    "latency",
    "replay",
    "speculation",
    "imports",
    "edits",
    "cases",
    "secret_scan",
    "many_files",
    "typing_load",
    "shared_engine",
    "soak",
    "fuzz",
)


def main() -> int:
    """Run the benchmarks named, or all; non-zero if one failed."""
    failed = 0
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"\n== {name}", flush=True)
        failed += bool(subprocess.call([sys.executable, Path(__file__).with_name(f"{name}.py")]))
    return failed


if __name__ == "__main__":
    sys.exit(main())
