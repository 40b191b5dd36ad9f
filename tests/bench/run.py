"""All benchmarks, one after the other: they would disturb each other.

Those that take an hour, many gigabytes or a browser run with --long, or by name.

Usage: python tests/bench/run.py [--long] [NAME ...]
"""

import argparse
import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "startup",
    "warm_start",
    "encoding",
    "passes",
    "products",
    "search",
    "latency",
    "speculation",
    "imports",
    "edits",
    "cases",
    "secret_scan",
    "many_files",
    "typing_load",
    "energy",
    "shared_engine",
    "soak",
    "fuzz",
    "fuzz_ignore",
    "gpu",
)
LONG = (
    "rounding",
    "confidence",
    "opening",
    "aims",
    "fidelity",
    "scale",
    "long_inputs",
    "family_encoding",
    "family",
    "family_server",
    "family_passkey",
    "activation",
    "workbench_times",
)


def main() -> int:
    """Run the benchmarks named, or all; how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--long", action="store_true", help="those that take long as well")
    options = parser.parse_args()
    every = (*BENCHMARKS, *LONG)
    if unknown := set(options.names) - set(every):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(every)}")
    failed = 0
    for name in options.names or (every if options.long else BENCHMARKS):
        print(f"\n== {name}", flush=True)
        failed += bool(subprocess.call([sys.executable, Path(__file__).with_name(f"{name}.py")]))
    return failed


if __name__ == "__main__":
    sys.exit(main())
