"""``longllama cluster serve``: a team's engine as an application of Ray Serve.

Serve scales replicas with the load, routes requests for a repository to a replica
that has it in memory (multiplexing), replaces unhealthy replicas, and rolls out new versions.
"""

import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longllama_code.cluster.bodies import Refused
from longllama_code.cluster.packages import required
from longllama_code.cluster.ray_workers import connect, stay_on_loopback
from longllama_code.cluster.replica import HttpRequest, Replica, ReplicaOptions
from longllama_code.cluster.rights import Rights, read_rights
from longllama_code.cluster.team import TeamMemory
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import ConfigError
from longllama_code.model_sources.default_model import USUAL
from longllama_code.team_protocol import VERSION

DRAIN_S = 60.0
"""Time in which a replica that is being replaced may finish its requests."""
LOGGING = {"encoding": "JSON", "log_level": "INFO", "enable_access_log": False}
HEALTH_EVERY_S, HEALTH_TIMEOUT_S = 1.0, 40.0
"""Interval and timeout of health checks; a dead replica is noticed within one interval."""
REQUEST_TIMEOUT_S = 600.0
"""Timeout of any request; completions carry their own."""
CONTEXT_BYTES = 1 << 30
"""Size of the cache of text around cursors, for many windows."""


@dataclass(frozen=True)
class ServeOptions:
    """Options of serving a team."""

    store: str
    model: str = USUAL
    device: str = "auto"
    dtype: str = "auto"
    compile: bool = False
    cache_dir: Path | None = None
    max_store_bytes: int | None = None
    max_context_bytes: int = CONTEXT_BYTES
    name: str = "longllama"
    """Name of the application, and first part of its URLs."""
    host: str = "127.0.0.1"
    port: int = 8000
    tokens: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    min_replicas: int = 1
    max_replicas: int = 1
    target_requests: float = 2.0
    upscale_delay: float = 10.0
    downscale_delay: float = 300.0
    max_ongoing: int = 3
    max_queued: int = 256
    max_repositories: int = 4
    cpus: float = 1.0
    gpus: float = 0.0
    address: str | None = None
    """Address of a Ray cluster; None starts one here."""

    @property
    def url(self) -> str:
        """Value for the setting ``longllama.engine.url``."""
        scheme = "https" if self.tls_certificate else "http"
        return f"{scheme}://{self.host}:{self.port}/{self.name}"


def serve_forever(options: ServeOptions) -> None:
    """Deploy, and stay until interrupted where the cluster was started here."""
    deploy(options)
    print(f"serving {options.model} at {options.url}", flush=True)
    if options.address is not None:
        return
    while True:
        time.sleep(3600)


def deploy(options: ServeOptions) -> None:
    """Deploy an application, or bring the one of that name up to date without a failed request.

    Raises:
        ConfigError: Ray is not installed, or this would let strangers in.
    """
    rights = rights_of(options)
    connect(options.address, niceness=0)  # a client waits for them
    serve = required("ray.serve")
    serve.start(
        proxy_location="EveryNode",
        http_options={
            "host": options.host,
            "port": options.port,
            "request_timeout_s": REQUEST_TIMEOUT_S,
            **_tls(options),
        },
        logging_config=LOGGING,
    )
    application, prefix = team_engine(options, rights), f"/{options.name}"
    serve.run(application, name=options.name, route_prefix=prefix, logging_config=LOGGING)


def rights_of(options: ServeOptions) -> Rights:
    """Return the users and their rights.

    Raises:
        ConfigError: it would listen to other machines without both tokens and TLS.
    """
    rights = read_rights(options.tokens) if options.tokens else Rights()
    if (options.tls_certificate is None) != (options.tls_key is None):
        raise ConfigError("give both --tls-certificate and --tls-key, or neither.")
    if not _is_loopback(options.host) and not (options.tokens and options.tls_certificate):
        raise ConfigError(
            f"--host {options.host} can be reached by other machines, which needs both --tokens "
            "and --tls-certificate with --tls-key; or listen on 127.0.0.1."
        )
    return rights


def team_engine(options: ServeOptions, rights: Rights) -> Any:
    """Return the application, to be deployed by Ray Serve."""
    serve = required("ray.serve")
    responses: Any = required("starlette.responses")

    class TeamEngine:
        """The class that Serve deploys: a replica with as many repositories as fit."""

        def __init__(self, of_replica: ReplicaOptions, rights: Rights) -> None:
            stay_on_loopback()
            self._replica = Replica(of_replica, rights)

        async def check_health(self) -> None:
            await self._replica.check_health()

        @serve.multiplexed(max_num_models_per_replica=options.max_repositories)
        async def memory(self, memory_id: str) -> "_ServedMemory":
            return _ServedMemory(self._replica, await self._replica.load(memory_id))

        async def _memory(self, memory_id: str) -> TeamMemory:
            return (await self.memory(memory_id)).memory

        async def __call__(self, request: Any) -> Any:
            came_at = time.monotonic()
            http_request = HttpRequest(
                f"/v1/{request.url.path.rpartition('/v1/')[2]}",
                dict(request.query_params),
                dict(request.headers),
                await request.body(),
                came_at,
            )
            headers = {"x-longllama-version": VERSION}
            try:
                answer = await self._replica.answer(http_request, self._memory)
            except Refused as refused:
                plain = {"error": str(refused)}
                return responses.JSONResponse(plain, refused.status, headers=headers)
            if answer.lines is not None:
                return responses.StreamingResponse(
                    answer.lines, media_type="application/x-ndjson", headers=headers
                )
            if answer.is_packed:
                headers["content-encoding"] = "gzip"
            return responses.Response(answer.body, media_type="application/json", headers=headers)

    deployment = serve.deployment(
        TeamEngine,
        name="TeamEngine",
        ray_actor_options={"num_cpus": options.cpus, "num_gpus": options.gpus},
        max_ongoing_requests=options.max_ongoing,
        max_queued_requests=options.max_queued,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=DRAIN_S,
        health_check_period_s=HEALTH_EVERY_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        **_replicas(options),
    )
    return deployment.bind(replica_options(options), rights)


def replica_options(options: ServeOptions) -> ReplicaOptions:
    """Return the options of each replica."""
    engine = EngineOptions(
        model=options.model,
        cache_dir=options.cache_dir,
        max_store_bytes=options.max_store_bytes,
        threads=int(options.cpus),
        device=options.device,
        dtype=options.dtype,
        context_bytes=options.max_context_bytes,
        compile=options.compile,
    )
    return ReplicaOptions(engine, options.store)


class _ServedMemory:
    """A memory that Serve owns; it calls ``__del__`` to evict it."""

    def __init__(self, replica: Replica, memory: TeamMemory) -> None:
        self._replica, self.memory = replica, memory

    def __del__(self) -> None:
        self._replica.unload(self.memory)


def _replicas(options: ServeOptions) -> dict[str, Any]:
    if options.min_replicas == options.max_replicas:
        return {"num_replicas": options.min_replicas}
    return {
        "num_replicas": "auto",
        "autoscaling_config": {
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": options.target_requests,
            "upscale_delay_s": options.upscale_delay,
            "downscale_delay_s": options.downscale_delay,
        },
    }


def _tls(options: ServeOptions) -> dict[str, str]:
    if options.tls_certificate is None or options.tls_key is None:
        return {}
    return {"ssl_certfile": str(options.tls_certificate), "ssl_keyfile": str(options.tls_key)}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
