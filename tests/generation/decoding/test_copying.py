"""Copying from memory: a mixture, as far as the gate says, of what memory shows and may show."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.config import LongLlamaConfig
from longllama_code.errors import ConfigError
from longllama_code.generation.decoding.copying import MAX_GATE, Copier, copied, features
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory, LocalText
from longllama_code.memory.retrieval.ngrams import NgramIndex
from longllama_code.model_config import N_COPY_FEATURES
from longllama_code.protocol import CompletionRequest, RememberResult
from longllama_code.research.evaluation.memories import encode_files, memory_of
from tests.code_model import code_model

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

VOCABULARY = 6
DEFINED = "LANTERN_LIMIT = 7\n"
REQUEST = CompletionRequest("b.py", "x = LANT", "\n", max_tokens=16)


def weights(constant: float) -> torch.Tensor:
    return torch.tensor([constant, *[0.0] * (N_COPY_FEATURES - 1)])


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=VOCABULARY, max_size=VOCABULARY),
    st.lists(st.integers(0, VOCABULARY - 1), min_size=2, max_size=20),
    st.floats(-20, 20, width=32),
)
def test_it_lies_between_the_model_and_the_match(numbers, segment, constant):
    index, logits = NgramIndex(), torch.tensor(numbers)
    index.add(torch.tensor(segment))
    match = index.match(segment[:-1])
    mixed = copied(logits, match, weights(constant)).log_probs.exp()
    model = logits.softmax(-1)
    shares = torch.zeros(VOCABULARY)
    shares[match.tokens] = match.counts / match.counts.sum()
    gate = min(float(torch.sigmoid(torch.tensor(constant))), MAX_GATE)
    torch.testing.assert_close(mixed, (1 - gate) * model + gate * shares)
    assert float(mixed.sum()) == pytest.approx(1, abs=1e-5)


def test_what_the_gate_weighs():
    index = NgramIndex()
    for segment in ([1, 2, 3], [1, 2, 3], [1, 2, 4]):
        index.add(torch.tensor(segment))
    uniform = torch.full((VOCABULARY,), 1 / VOCABULARY).log()
    found = features(index.match([0, 1, 2]), uniform)
    share = torch.tensor(1 / VOCABULARY)
    wanted = [1, *torch.tensor([2.0, 3.0, 2.0]).log1p(), share]
    wanted += [(share + 1e-4).log(), torch.tensor(float(VOCABULARY)).log(), share]
    torch.testing.assert_close(found, torch.tensor(wanted))


def test_a_name_is_copied_to_its_end(
    make_engine: MakeEngine, remember: Remember, tiny: LoadedModel, copying: LoadedModel
) -> None:
    for loaded, wanted in ((tiny, False), (copying, True)):
        engine = make_engine(loaded=loaded)
        remember(engine, "a.py", DEFINED)
        remember(engine, "other.py", "unrelated = [3]\n" * 20)
        result = engine.complete(REQUEST, lambda: False)
        assert (result.text == "ERN_LIMIT = 7") == wanted
        if wanted:
            assert result.sources[0].path == "a.py"
            assert result.sources[0].mass > 0.4
            assert result.memory_share > 0.5  # the gate is nearly open


def test_nothing_is_copied_where_definitions_are_shown(
    make_engine: MakeEngine, remember: Remember
) -> None:
    loaded = code_model()
    loaded.model.config.copy_gate = weights(20.0).tolist()
    engine = make_engine(loaded=loaded)
    remember(engine, "a.py", DEFINED)
    request = replace(REQUEST, prefix="import a\nx = a.LANT", definition_tokens=0)
    copied_text = engine.complete(request, lambda: False)
    assert copied_text.text == "ERN_LIMIT = 7"
    assert copied_text.sources
    shown = engine.complete(replace(request, definition_tokens=768), lambda: False)
    assert [each.name for each in shown.definitions] == ["LANTERN_LIMIT"]
    assert shown.text != copied_text.text
    assert shown.sources == []


def test_nothing_is_copied_without_memory(
    make_engine: MakeEngine, remember: Remember, tiny: LoadedModel, copying: LoadedModel
) -> None:
    texts = set()
    for loaded in (tiny, copying):
        engine = make_engine(loaded=loaded)
        remember(engine, "a.py", DEFINED)
        without = CompletionRequest("b.py", "x = LANT", "", max_tokens=12, uses_memory=False)
        texts.add(engine.complete(without, lambda: False).text)
    assert len(texts) == 1


def test_a_model_without_a_gate_or_memory_copies_nothing(
    tiny: LoadedModel, copying: LoadedModel
) -> None:
    view = CompletionMemory(memory_of(tiny, encode_files(tiny, {"a.py": DEFINED})), None)
    assert Copier.of(tiny.model.config, view) is None
    assert Copier.of(copying.model.config, None) is None
    assert Copier.of(copying.model.config, view) is not None


def test_what_the_local_context_repeats_is_not_copied(copying: LoadedModel) -> None:
    """The remembered version of the text around the cursor is old, and would be copied first."""
    memory = memory_of(copying, encode_files(copying, {"a.py": DEFINED}))
    context = [*b"LANTERN"]
    assert CompletionMemory(memory, None).match(context) is not None
    local = LocalText("a.py", DEFINED, 0, len(DEFINED))
    assert CompletionMemory(memory, local).match(context) is None


def test_a_window_is_mixed_as_each_of_its_tokens(copying: LoadedModel) -> None:
    view = CompletionMemory(memory_of(copying, encode_files(copying, {"a.py": DEFINED})), None)
    copier = Copier.of(copying.model.config, view)
    ids = [256, *b"zz LANTERN"]
    logits = torch.randn(4, 260, generator=torch.Generator().manual_seed(0))
    window = copier.mix_window(logits, ids)
    rows = [copier.mix(row, ids[: len(ids) - 3 + n]) for n, row in enumerate(logits)]
    torch.testing.assert_close(window, torch.stack(rows))
    assert copier.candidates == [ord("_")]
    assert int(window[-1].argmax()) == ord("_")


def test_a_gate_of_another_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"copy_gate has 2 weights.*longllama copying"):
        LongLlamaConfig(copy_gate=[1.0, 2.0])
