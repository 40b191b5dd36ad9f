"""A segment's rows are those of its own tokens, behind a header that is not stored."""

import torch

from longllama_code.generation.models import LoadedModel
from longllama_code.memory.segments.encoder import MIN_SINK_TOKENS, SegmentEncoder
from longllama_code.memory.segments.identity import path_header

TEXT = "def f(x):\n    return 'é'\n"


def encoder(tiny: LoadedModel, fingerprint: str = "") -> SegmentEncoder:
    return SegmentEncoder(tiny.model, tiny.tokenizer, fingerprint, tiny.limits)


def test_rows_are_those_of_the_text(tiny: LoadedModel) -> None:
    segment = encoder(tiny).encode(path_header("a.py"), TEXT)
    ids = [256, *f"# a.py\n{TEXT}".encode()]
    n = len(TEXT.encode())
    encoded = tiny.model.model.encode_memory(torch.tensor([ids]))
    # Memory heads by layer, then head: both of layer 1, the second of layer 2.
    for part, rows in enumerate((segment.keys, segment.values)):
        expected = torch.cat([encoded[1][part][0, :, -n:], encoded[2][part][0, 1:, -n:]])
        assert torch.equal(rows, expected)
    assert segment.n_tokens == n
    assert segment.page_offsets.tolist() == [0, 16, len(TEXT)]


def test_the_header_shapes_the_rows(tiny: LoadedModel) -> None:
    one, other = (encoder(tiny).encode(path_header(path), TEXT) for path in ("a.py", "b.py"))
    assert not torch.allclose(one.values, other.values)


def test_a_short_header_is_repeated(tiny: LoadedModel) -> None:
    """So that never fewer than the first tokens of the window, which draw attention, stay out."""
    segment = encoder(tiny).encode("#", TEXT)
    ids = [256, *b"#" * (MIN_SINK_TOKENS - 1), *TEXT.encode()]
    keys, _ = tiny.model.model.encode_memory(torch.tensor([ids]))[1]
    assert torch.equal(segment.keys[:2], keys[0, :, MIN_SINK_TOKENS:])


def test_identity(tiny: LoadedModel) -> None:
    """Another model, header or text, or another border between the two, is another segment."""
    ids = {
        encoder(tiny, fingerprint).identity(header, text)
        for fingerprint in ("", "other")
        for header, text in [("h", "text"), ("h", "text2"), ("g", "text"), ("ht", "ext")]
    }
    assert len(ids) == 8
    assert encoder(tiny).identity("h", "text") == encoder(tiny).identity("h", "text")
    assert encoder(tiny).identity("h", "\ud800") in {encoder(tiny).encode("h", "\ud800").id}


def test_blank_pieces_are_left_out(tiny: LoadedModel) -> None:
    assert encoder(tiny).cut("\n\n \t\n") == []
    assert len(encoder(tiny).cut("x\n")) == 1
