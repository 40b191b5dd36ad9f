"""Runs functions on Ray's workers, on this machine or a cluster."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from longllama_code.cluster.packages import required

MAX_RETRIES = 8
"""Maximum number of times that Ray retries a task whose worker died."""
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Environment that Ray reads when it is imported: a single node with all ports on the loopback
interface, as on Windows and macOS."""
PATIENT = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60"}
"""Environment that Serve reads when it is imported: the timeout of a starting proxy. With the
default of 5 seconds ``serve.start`` fails on a busy machine, as workers have a low priority."""
OBJECT_STORE_BYTES = 200 << 20
"""Size of a local Ray's object store, which holds results until they are written."""


def connect(
    address: str | None = None,
    *,
    n_cpus: int | None = None,
    folder: Path | None = None,
    niceness: int = 15,
    **more: Any,
) -> Any:
    """Return Ray, connected to a cluster or started on this machine's loopback interface.

    Args:
        address: address of the cluster; None starts one here.
        n_cpus: CPUs that a cluster started here may use.
        folder: folder for its files; None uses Ray's default.
        niceness: niceness of a local cluster's workers; ``RAY_worker_niceness`` takes precedence.
        more: further arguments of ``ray.init``.

    Raises:
        ConfigError: Ray is not installed.
    """
    if address is None:
        os.environ |= LOOPBACK_ONLY | PATIENT
        os.environ.setdefault("RAY_worker_niceness", str(niceness))
    ray = required("ray")
    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", **more}
    if address is not None:
        ray.init(address=address, **options)
        return ray
    if folder is not None:
        options["_temp_dir"] = str(folder)
    ray.init(
        num_cpus=n_cpus,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **options,
    )
    return ray


def stay_on_loopback() -> None:
    """Have a replica of Serve listen there for its siblings, where Ray was started so.

    It listens on all interfaces otherwise, whatever the node's address is, and takes pickles.
    """
    if any(os.environ.get(name) != value for name, value in LOOPBACK_ONLY.items()):
        return
    replica = required("ray.serve._private.replica")
    add_port = replica.add_port_to_grpc_server

    def add_loopback_port(server: Any, address: str) -> Any:
        return add_port(server, address.replace("[::]", "127.0.0.1"))

    replica.add_port_to_grpc_server = add_loopback_port


class RayWorkers:
    """Workers that run functions as Ray's tasks.

    Args:
        ray: the module, connected.
        n_cpus: CPUs of a task.
        n_gpus: GPUs of a task; a fraction lets several tasks share one.
    """

    def __init__(self, ray: Any, n_cpus: float = 1, n_gpus: float = 0) -> None:
        self._ray, self._options = ray, {"num_cpus": n_cpus, "num_gpus": n_gpus}
        found = ray.cluster_resources()
        room = [found.get("CPU", 1) / n_cpus if n_cpus else float("inf")]
        room += [found.get("GPU", 0) / n_gpus] if n_gpus else []
        self.n_at_once = max(1, int(min(room)))
        self._remote: dict[str, Any] = {}

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have a function called by a worker."""
        name = function.__qualname__
        if name not in self._remote:
            remote = self._ray.remote(function)
            self._remote[name] = remote.options(max_retries=MAX_RETRIES, **self._options)
        return self._remote[name].remote(*arguments)

    def result(self, call: Any) -> Any:
        """Wait for a result; what a function raised is raised here as it was."""
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
