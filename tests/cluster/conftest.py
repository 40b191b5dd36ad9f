"""One Ray for all tests of the cluster, on this machine's loopback interface."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY_ROOT = Path(__file__).parents[2]
N_CPUS = 2


def repository_files(n_files: int, seed: int = 0) -> dict[str, str]:
    """Made-up sources, each of a few segments of tiny."""
    return {
        f"pkg{n % 3}/module_{n:03}.py": "".join(
            f"def step_{seed}_{n}_{k}(value):\n" + f"    value += {n * 31 + k}\n" * 14 + "\n\n"
            for k in range(2 + n % 3)
        )
        for n in range(n_files)
    }


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Ray, with two workers."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")
    from longllama_code.cluster.ray_workers import connect

    paths = [str(REPOSITORY_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["OMP_NUM_THREADS"] = "1"
    ray = connect(n_cpus=N_CPUS, _metrics_export_port=METRICS_PORT)
    yield ray
    ray.shutdown()


METRICS_PORT = 18_931
