"""Ways to encode a repository: what each changes, and that it changes nothing else."""

import json
from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import Tensor

from longllama_code.__main__ import main
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.segments.identity import path_header
from longllama_code.memory.segments.segment import PAGE_TOKENS, EncodedSegment
from longllama_code.model.memory_source import InContextMemory
from longllama_code.research.evaluation.encodings import Encoding, encode_repository
from longllama_code.research.evaluation.memories import EncodedFile, encode_files, memory_of

TEXTS = {
    f"{name}.py": "".join(f"def {name}_{n}():\n    return {n}\n\n" for n in range(12))
    for name in ("a", "b", "c")
}
LOAD_ORDER, STORE_HEAD = Encoding(load_order=True), Encoding(store_head=True)
FIRST_LAYER, SECOND_LAYER = slice(0, 2), slice(2, 3)
"""Tiny's memory heads: both of layer 1, and one of layer 2."""


def segments(files: list[EncodedFile]) -> list[EncodedSegment]:
    return list(chain.from_iterable(file.segments for file in files))


def encoded(loaded: LoadedModel, encoding: Encoding) -> list[EncodedSegment]:
    return segments(encode_repository(loaded, TEXTS, encoding))


def test_the_default_is_the_products(tiny: LoadedModel) -> None:
    plain = segments(encode_files(tiny, TEXTS))
    assert len(plain) > 3
    for one, other in zip(encoded(tiny, Encoding()), plain, strict=True):
        assert one.id == other.id
        assert torch.equal(one.keys, other.keys)


def test_in_load_order_the_second_memory_layer_alone_changes(tiny: LoadedModel) -> None:
    """Its keys come from what the first one saw; nothing was there for the first segment to see."""
    pairs = list(zip(encoded(tiny, LOAD_ORDER), encoded(tiny, Encoding()), strict=True))
    for number, (later, alone) in enumerate(pairs):
        for one, other in ((later.keys, alone.keys), (later.values, alone.values)):
            torch.testing.assert_close(one[FIRST_LAYER], other[FIRST_LAYER])
            same = torch.allclose(one[SECOND_LAYER], other[SECOND_LAYER], atol=1e-5)
            assert same == (number == 0)
        assert torch.equal(later.page_offsets, alone.page_offsets)


def test_in_load_order_a_segment_sees_all_before_it(tiny: LoadedModel) -> None:
    """As the windows of a long input see those before them."""
    model, seen = tiny.model, InContextMemory(tiny.model.config)
    path, text = next(iter(TEXTS.items()))
    (file,) = encode_repository(tiny, {path: text}, LOAD_ORDER)
    assert len(file.pieces) > 1
    head = [256, *path_header(path).encode()]
    for piece, segment in zip(file.pieces, file.segments, strict=True):
        ids = torch.tensor([[*head, *text[piece.start : piece.end].encode()]])
        parts = model.model.encode_memory(ids, seen)
        stored = {layer: [part[:, :, len(head) :] for part in parts[layer]] for layer in parts}
        expected = torch.cat([stored[1][0][0], stored[2][0][0, 1:]])
        torch.testing.assert_close(segment.keys, expected, atol=1e-5, rtol=1e-4)
        for layer, (keys, values) in stored.items():
            seen.absorb(layer, keys, values)
        seen.absorb_visibility(torch.ones(1, segment.n_tokens, dtype=torch.bool))


def test_load_order_goes_on_after_files_that_were_encoded_before(tiny: LoadedModel) -> None:
    whole = encode_repository(tiny, TEXTS, LOAD_ORDER)
    first, *rest = TEXTS
    before = encode_repository(tiny, {first: TEXTS[first]}, LOAD_ORDER)
    texts = {path: TEXTS[path] for path in rest}
    after = encode_repository(tiny, texts, LOAD_ORDER, before=before)
    for one, other in zip(segments([*before, *after]), segments(whole), strict=True):
        assert one.id == other.id
        assert torch.equal(one.keys, other.keys)


@pytest.mark.parametrize("header", [True, False])
def test_the_head_is_stored_before_the_text(tiny: LoadedModel, header: bool) -> None:
    """A blank line in place of the header is repeated until the sink has four tokens."""
    with_head = encode_repository(tiny, TEXTS, Encoding(header, store_head=True))
    without = encode_repository(tiny, TEXTS, Encoding(header))
    for one, other in zip(with_head, without, strict=True):
        n_head = 1 + len(path_header(one.path)) if header else 4
        for more, less in zip(one.segments, other.segments, strict=True):
            assert more.n_tokens == less.n_tokens + n_head
            assert torch.equal(more.keys[:, n_head:], less.keys)
            assert torch.equal(more.values[:, n_head:], less.values)
            _check_pages(more, less, n_head)


def _check_pages(more: EncodedSegment, less: EncodedSegment, n_head: int) -> None:
    """Every row has a page; of ASCII, a page begins at its first row's character."""
    offsets: Tensor = more.page_offsets
    assert len(offsets) == -(-more.n_tokens // PAGE_TOKENS) + 1
    starts = [max(0, row - n_head) for row in range(0, more.n_tokens, PAGE_TOKENS)]
    assert offsets.tolist() == [*starts, int(less.page_offsets[-1])]


def test_provenance_finds_the_lines_of_segments_with_a_head(tiny: LoadedModel) -> None:
    memory = memory_of(tiny, encode_repository(tiny, TEXTS, STORE_HEAD))
    view = CompletionMemory(memory, None)
    view.records_attention = True
    with torch.inference_mode():
        tiny.model(torch.tensor([[256, *b"return b_1"]]), use_cache=False, memory=view)
    for query in range(len("return b_1") + 1):
        view.count(query)
    sources = view.sources(1000)
    assert sum(source.mass for source in sources) > 0.9
    assert {source.path for source in sources} == TEXTS.keys()
    n_lines = TEXTS["a.py"].count("\n")
    assert all(1 <= source.first_line <= source.last_line <= n_lines for source in sources)


@pytest.mark.parametrize("encoding", [Encoding(header=False), STORE_HEAD, LOAD_ORDER])
def test_the_same_files_are_in_memory(tiny: LoadedModel, encoding: Encoding) -> None:
    """Room is counted in text, whatever is stored beside it."""
    n_first = len(TEXTS["a.py"])
    for room, n_files in ((n_first, 1), (n_first + 1, 2), (None, 3)):
        assert len(encode_files(tiny, TEXTS, room)) == n_files
        assert len(encode_repository(tiny, TEXTS, encoding, room)) == n_files


def test_equal_ids_mean_equal_keys(tiny: LoadedModel) -> None:
    ways = [Encoding(h, s, o) for h in (True, False) for s in (True, False) for o in (True, False)]
    ids = [{segment.id for segment in encoded(tiny, way)} for way in ways]
    assert len(set().union(*ids)) == sum(map(len, ids))
    turned = encode_repository(tiny, dict(reversed(TEXTS.items())), LOAD_ORDER)
    same = {segment.id for segment in segments(turned)} & {s.id for s in encoded(tiny, LOAD_ORDER)}
    assert not same


def test_the_same_text_twice_is_two_segments_in_load_order(tiny: LoadedModel) -> None:
    function = "def same():\n" + "    value = 1\n" * 20 + "\n"
    (alone,), (later,) = (
        encode_repository(tiny, {"a.py": function * 3}, way) for way in (Encoding(), LOAD_ORDER)
    )
    ids = [segment.id for segment in later.segments]
    assert len(set(ids)) == len(ids) == 3
    assert len({segment.id for segment in alone.segments}) < 3


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, text in TEXTS.items():
        (tmp_path / "repo").mkdir(exist_ok=True)
        (tmp_path / "repo" / path).write_text(text * 2)
    arguments = ["eval", "--model", "tiny", "--repo", str(tmp_path / "repo"), "--files", "1"]
    arguments += ["--lines", "0", "--windows", "1", "--conditions", "local,own"]
    tokens: list[int] = []
    for name, variant in (("plain", []), ("both", ["--load-order", "--store-head"])):
        assert main([*arguments, *variant, "--output", str(tmp_path / name)]) == 0
        report = json.loads((tmp_path / name / "eval.json").read_text("utf-8"))
        assert report["options"]["load_order"] is report["options"]["store_head"] is bool(variant)
        tokens.append(sum(site["memory_tokens"] for site in report["repositories"]))
    capsys.readouterr()
    assert tokens[0] < tokens[1]
