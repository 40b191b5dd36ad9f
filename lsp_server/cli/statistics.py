"""``longllama-lsp stats``: print what became of suggestions, as counted on this machine."""

import argparse
import json
import time
from collections.abc import Iterator

from longllama_code.paths import cache_path, expanded
from lsp_server.cli.options import Command, Json, add_json_option
from lsp_server.cli.terminal import BAR_CHARS

DAY_S = 86_400.0
MAX_DAYS = 14
"""Days in the plot."""
HEAD = ("shown", "accepted", "in part", "typed out", "typed over", "left", "after 30 s", "5 min")


def configure(parser: Command) -> None:
    """Add the options of ``stats``."""
    parser.add_argument(
        "--days", type=_days, metavar="N", help="count the last N days alone (the default: all)"
    )
    parser.add_argument("--clear", action="store_true", help="remove everything that was counted")
    add_json_option(parser)
    parser.add_argument("--cache-dir", help="another folder than the user's own")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the statistics, or clear them; return the exit code."""
    from lsp_server.statistics.database import StatisticsFile, path_in
    from lsp_server.statistics.summary import summary

    cache = expanded(options.cache_dir) if options.cache_dir else cache_path()
    file = StatisticsFile(cache) if path_in(cache).exists() else None
    try:
        if options.clear:
            n_removed = 0 if file is None else file.clear()
            print(json.dumps({"n_removed": n_removed}) if options.json else _cleared(n_removed))
        else:
            since = 0.0 if options.days is None else time.time() - options.days * DAY_S
            records = [] if file is None else file.records(since)
            found = {"last_days": options.days, **summary(records)}
            print(json.dumps(found) if options.json else "\n".join(as_lines(found)))
        return 0
    finally:
        if file is not None:
            file.close()


def as_lines(found: Json) -> Iterator[str]:
    """Yield a table of all groups, and a plot of the last days."""
    if not found["total"]["shown"]:
        yield "No suggestion was counted yet."
        return
    groups = [("", [{"name": "all", **found["total"]}])]
    groups += [(title, found[title]) for title in ("languages", "lengths", "latencies", "clients")]
    width = max(len(group["name"]) for _, some in groups for group in some)
    yield f"{'':{width}}  {'  '.join(f'{name:>{max(6, len(name))}}' for name in HEAD)}"
    for title, some in groups:
        if title:
            yield title
        for group in some:
            yield f"{group['name']:{width}}  {'  '.join(_cells(group))}"
    yield ""
    yield f"shown by day, accepted filled (of the last {MAX_DAYS} days with any)"
    yield from _plot(found["days"])
    yield ""
    yield "after 30 s, 5 min: of what was accepted, how much was still there, where that is known"


def _cells(group: Json) -> Iterator[str]:
    """Yield the cells of a row: a number, then shares."""
    shown = group["shown"]
    names = ("accepted", "partly_accepted", "typed_out", "typed_over", "left")
    values = [f"{shown:,}", *(_share(group[name], shown) for name in names)]
    for look in ("after_30_s", "after_5_min"):
        there, gone = group[look]["there"], group[look]["gone"]
        values.append(_share(there, there + gone))
    for name, value in zip(HEAD, values, strict=True):
        yield f"{value:>{max(6, len(name))}}"


def _share(part: int, whole: int) -> str:
    return f"{round(100 * part / whole)} %" if whole else "-"


def _plot(days: list[Json]) -> Iterator[str]:
    """Yield a bar for each day, in signs that `accept_all_characters` knows plain ones for."""
    last = days[-MAX_DAYS:]
    most = max((day["shown"] for day in last), default=1)
    for day in last:
        n_shown = round(BAR_CHARS * day["shown"] / most)
        n_accepted = round(n_shown * day["accepted"] / day["shown"])
        bar = "█" * n_accepted + "░" * (n_shown - n_accepted)
        yield f"{day['name']}  {bar:{BAR_CHARS}}  {day['accepted']:,} of {day['shown']:,}"


def _cleared(n_removed: int) -> str:
    return f"removed {n_removed:,} suggestions that were counted"


def _days(text: str) -> float:
    """Return a number of days; argparse turns the error into a usage message."""
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 < days < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days; give one, such as 7")
    return days
