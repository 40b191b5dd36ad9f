"""Whether an accepted text is still there after a while.

Published definition (Ziegler et al. 2022, arXiv 2205.06537, "mostly unchanged"): the Levenshtein
distance between what was accepted and what stands in its place is below a third of its length.
"""

from lsp_server.statistics.spans import change_between

MAX_DISTANCE = 0.33
"""Greatest share of an accepted text's characters that may have changed, excluded."""
MAX_WINDOW_CHARS = 20_000
"""Length of the changed text in which an accepted text is looked for, around its place."""
MAX_CHARS = 4_000
"""Length of an accepted text of which the beginning alone is looked for."""


def is_still_there(then: str, start: int, end: int, now: str) -> bool:
    """Whether a span of a text stands in a later version of it, unchanged for the most part.

    Args:
        then: the text when the span was accepted.
        start: where the span begins.
        end: where it ends.
        now: the text now.
    """
    change = change_between(then, now)
    if change is None or change.end <= start or end <= change.start:
        return True
    accepted = then[start:end][:MAX_CHARS]
    last = max(change.end_now, end + len(now) - len(then))
    first = max(min(start, change.start), min(start, last) - MAX_WINDOW_CHARS // 2)
    window = now[first : min(last, first + MAX_WINDOW_CHARS)]
    return least_distance(accepted, window) < MAX_DISTANCE * len(accepted)


def least_distance(pattern: str, text: str) -> int:
    """Return the least Levenshtein distance between a pattern and any part of a text.

    By Myers' bit vectors (1999): one step for each character of the text, whose cost grows with the
    pattern's length / 64.
    """
    size = len(pattern)
    if not size:
        return 0
    places: dict[str, int] = {}
    for index, char in enumerate(pattern):
        places[char] = places.get(char, 0) | 1 << index
    every, last = (1 << size) - 1, 1 << (size - 1)
    more, less = every, 0  # by one than the cell above, for each character of the pattern
    distance = least = size
    for char in text:
        equal = places.get(char, 0)
        vertical = equal | less
        horizontal = (((equal & more) + more) ^ more) | equal
        grows = less | (~(horizontal | more) & every)
        shrinks = more & horizontal
        distance += bool(grows & last) - bool(shrinks & last)
        least = min(least, distance)
        grows, shrinks = grows << 1 & every, shrinks << 1 & every
        more = shrinks | (~(vertical | grows) & every)
        less = grows & vertical
    return least
