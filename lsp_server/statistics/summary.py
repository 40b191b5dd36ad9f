"""What the statistics say: counts in all, by language, length, latency and day, as plain values."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from lsp_server.statistics.record import OUTCOMES, Client, Record

Json = dict[str, Any]

LENGTHS = ((10, "1 to 10 characters"), (30, "11 to 30"), (80, "31 to 80"))
LONGEST = "more than 80"
LATENCIES = (
    (100, "up to 0.1 s"),
    (300, "0.1 to 0.3 s"),
    (1_000, "0.3 to 1 s"),
    (3_000, "1 to 3 s"),
)
SLOWEST = "more than 3 s"
CLIENTS: dict[Client, str] = {"editor": "over LSP", "http": "over HTTP (sent)"}


def summary(records: Sequence[Record]) -> Json:
    """Return counts of all records and of groups of them, each with a ``name``."""
    return {
        "total": _counts(records),
        "languages": _most_first(_grouped(records, lambda record: record.language)),
        "lengths": _in_order(records, lambda record: record.n_chars, LENGTHS, LONGEST),
        "latencies": _in_order(records, lambda record: record.latency_ms, LATENCIES, SLOWEST),
        "clients": _most_first(_grouped(records, lambda record: CLIENTS[record.client])),
        "days": sorted(_grouped(records, _day), key=lambda group: group["name"]),
    }


def _counts(records: Iterable[Record]) -> Json:
    """Return how many suggestions were shown, and what became of them.

    ``there`` after a time and ``gone`` are of accepted suggestions, as far as that is known.
    """
    counts: Json = dict.fromkeys(("shown", *OUTCOMES, "open", "chars", "accepted_chars"), 0)
    counts |= {look: dict.fromkeys(("there", "gone", "unknown"), 0) for look in _LOOKS}
    for record in records:
        counts["shown"] += 1
        counts[record.outcome or "open"] += 1
        counts["chars"] += record.n_chars
        counts["accepted_chars"] += record.n_accepted
        for look in _LOOKS:
            if (found := getattr(record, look)) in counts[look]:
                counts[look][found] += 1
    return counts


_LOOKS = ("after_30_s", "after_5_min")


def _grouped(records: Iterable[Record], name_of: Callable[[Record], str]) -> list[Json]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(name_of(record), []).append(record)
    return [{"name": name, **_counts(group)} for name, group in groups.items()]


def _most_first(groups: list[Json]) -> list[Json]:
    return sorted(groups, key=lambda group: (-group["shown"], group["name"]))


def _in_order(
    records: Iterable[Record],
    value_of: Callable[[Record], int],
    limits: Sequence[tuple[int, str]],
    beyond: str,
) -> list[Json]:
    """Return groups of records by ranges of a value, in the order of the ranges."""

    def name_of(record: Record) -> str:
        value = value_of(record)
        return next((name for limit, name in limits if value <= limit), beyond)

    order = [*(name for _, name in limits), beyond]
    groups = _grouped(records, name_of)
    return sorted(groups, key=lambda group: order.index(group["name"]))


def _day(record: Record) -> str:
    """Return the day of a record where its user is."""
    return datetime.fromtimestamp(record.shown_at).astimezone().date().isoformat()
