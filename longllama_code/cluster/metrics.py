"""Metrics of a replica for Prometheus, exported by Ray; they contain no text and no path."""

from longllama_code.cluster.packages import required
from longllama_code.cluster.team import Completed
from longllama_code.protocol import EngineStatus, RememberResult

PHASES = ("queue", "prefill", "decode", "total")
MS_BOUNDARIES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]


class Metrics:
    """Metrics of one replica.

    Args:
        model: value of the tag ``model``.
    """

    def __init__(self, model: str) -> None:
        metrics = required("ray.util.metrics")

        def made(kind: str, name: str, about: str, tags: tuple[str, ...], **more: object):
            make = getattr(metrics, kind)
            made = make(f"longllama_{name}", description=about, tag_keys=("model", *tags), **more)
            made.set_default_tags({"model": model})
            return made

        self._requests = made("Counter", "requests", "Requests by outcome.", ("outcome",))
        self._phases = made(
            "Histogram",
            "phase_ms",
            "Milliseconds of a completion, by phase.",
            ("phase",),
            boundaries=MS_BOUNDARIES,
        )
        self._tokens = made("Counter", "tokens", "Tokens, by what was done.", ("kind",))
        self._segments = made(
            "Counter", "segments", "Segments remembered, by where they were.", ("origin",)
        )
        self._under_way = made("Gauge", "requests_under_way", "Requests without an answer.", ())
        self._memory_bytes = made(
            "Gauge", "memory_bytes", "Size of a repository in memory.", ("repository",)
        )
        self._memory_tokens = made(
            "Gauge", "memory_tokens", "Size of a repository in memory.", ("repository",)
        )
        self._n_under_way = 0

    def start(self) -> None:
        """Count a request that starts."""
        self._n_under_way += 1
        self._under_way.set(self._n_under_way)

    def finish(self, outcome: str) -> None:
        """Count a request that was answered or cancelled."""
        self._n_under_way -= 1
        self._under_way.set(self._n_under_way)
        self._requests.inc(tags={"outcome": outcome})

    def note_completion(self, completed: Completed, total_ms: float) -> None:
        """Record a completion."""
        timings = completed.result.timings
        took = completed.queued_ms, timings.prefill_ms, timings.decode_ms, total_ms
        for phase, ms in zip(PHASES, took, strict=True):
            self._phases.observe(ms, tags={"phase": phase})
        counted = {
            "generated": timings.generated_tokens,
            "prompt_read": timings.prompt_tokens - timings.reused_tokens,
            "prompt_reused": timings.reused_tokens,
        }
        for kind, n_tokens in counted.items():
            if n_tokens > 0:
                self._tokens.inc(n_tokens, tags={"kind": kind})

    def note_remembered(self, results: list[RememberResult]) -> None:
        """Record files that were remembered."""
        for origin in ("encoded", "loaded", "kept"):
            n_segments = sum(getattr(result, f"n_{origin}") for result in results)
            if n_segments:
                self._segments.inc(n_segments, tags={"origin": origin})

    def note_memory(self, repository: str, status: EngineStatus) -> None:
        """Record the size of a repository in memory."""
        self._memory_bytes.set(status.memory_bytes, tags={"repository": repository})
        self._memory_tokens.set(status.n_tokens, tags={"repository": repository})

    def forget_memory(self, repository: str) -> None:
        """Record that a repository left memory."""
        self._memory_bytes.set(0, tags={"repository": repository})
        self._memory_tokens.set(0, tags={"repository": repository})


def outcome_of(completed: Completed | None) -> str:
    """Return the outcome of a request."""
    if completed is None:
        return "cancelled"
    if completed.result.stop_reason == "deadline" and not completed.result.text:
        return "deadline"
    return "answered" if completed.result.text else "empty"
