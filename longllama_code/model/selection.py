"""Exact search for the best keys of each query, the retrieval of the FoT paper (section 3.1).

Attending to all of memory instead would drown the right key: an irrelevant key gets little weight,
but tens of thousands of them together get more than the one that matters, unless the model was
trained against distraction.
"""

import torch
from torch import Tensor

PAGE_KEYS = 16
MIN_PAGES_PER_KEY = 4
"""With fewer pages for each key wanted, looking at pages first saves nothing."""


def best_scores(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k highest of (…, M) scores and their indices, each (…, k).

    A page that contains one of the k highest scores has one of the k highest maxima. So the k best
    pages are found by their maxima, and only they (and the keys behind the last whole page) are
    sorted.
    """
    n_keys = scores.shape[-1]
    n_pages = n_keys // PAGE_KEYS
    if n_pages < MIN_PAGES_PER_KEY * k:
        return scores.topk(min(k, n_keys), dim=-1)
    paged = scores[..., : n_pages * PAGE_KEYS].unflatten(-1, (n_pages, PAGE_KEYS))
    pages = paged.amax(-1).topk(k, dim=-1, sorted=False).indices
    within = torch.arange(PAGE_KEYS, device=scores.device)
    candidates = (pages[..., None] * PAGE_KEYS + within).flatten(-2)
    rest = torch.arange(n_pages * PAGE_KEYS, n_keys, device=scores.device)
    candidates = torch.cat((candidates, rest.expand(*candidates.shape[:-1], -1)), dim=-1)
    best, places = scores.gather(-1, candidates).topk(k, dim=-1)
    return best, candidates.gather(-1, places)


def pick(values: Tensor, indices: Tensor) -> Tensor:
    """Return rows of (B or 1, G, M, D) at indices (B, G, R, S, k): (B, G, R, S, k, D)."""
    batch, n_groups = values.shape[:2]
    rows = torch.arange(batch, device=values.device).view(-1, 1, 1, 1, 1)
    groups = torch.arange(n_groups, device=values.device).view(1, -1, 1, 1, 1)
    return values[rows, groups, indices]
