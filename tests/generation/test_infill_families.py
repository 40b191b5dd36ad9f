"""Models that were taught prefix, suffix, middle: marks of their vocabulary, published order."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sentencepiece
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from longllama_code.config import LongLlamaConfig
from longllama_code.generation.engine import Engine
from longllama_code.generation.infill import FAMILIES, InfillMarks, first_lines, never_written
from longllama_code.generation.models import LoadedModel, tiny_config
from longllama_code.generation.prompt import build_prompt
from longllama_code.memory.encoder import path_header
from longllama_code.memory.segmenter import Limits
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult
from longllama_code.sentencepieces import MARKS, SentencePieceTokenizer
from longllama_code.tokenizer import ByteTokenizer, FastTokenizer, Tokenizer
from tests.model.pieces import MERGES_BLANKS, vocabulary

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

PIECES = SentencePieceTokenizer(vocabulary())
THEIRS = sentencepiece.SentencePieceProcessor(model_proto=vocabulary())
PRE, SUF, MID, EOT = (THEIRS.piece_to_id(name) for name in MARKS)
MARKED = InfillMarks.named(PIECES)
PATH, HEADER = "src/a.py", path_header("src/a.py")
REPOSITORY_MARKS = ("<|repo_name|>", "<|file_sep|>", "<repo_name>", "<filename>", "<gh_stars>")
PREFIX = "".join(f"line_{n:02} = {n:02}\n" for n in range(20)) + "def f(x):\n    return "
SUFFIX = "\n\nprint(f(1))\n"


def byte_level(*names: str) -> FastTokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = tokenizers.Tokenizer(models.BPE({c: at for at, c in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(False)
    backend.decoder = decoders.ByteLevel()
    # DeepSeek-Coder lists its marks as plain tokens.
    backend.add_tokens([AddedToken(name, special=False, normalized=False) for name in names])
    return FastTokenizer(backend, bos_id=None, eos_id=256)


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_the_marks_of_a_family(family: tuple[str | None, ...]) -> None:
    names = [name for name in family if name is not None]
    tokenizer = byte_level("</s>", *names, *REPOSITORY_MARKS)
    marks = InfillMarks.named(tokenizer)
    prefix, suffix, middle, end = (name and tokenizer.id_of(name) for name in family)
    assert marks == InfillMarks(suffix, prefix, middle, end)
    text = "x" + "".join(names)
    prompt = build_prompt(PATH, text + "\n", tokenizer, 4000, text, marks)
    local = [*tokenizer.encode(HEADER), *tokenizer.encode(text + "\n")]
    assert prompt.ids == [prefix, *local, suffix, *tokenizer.encode(text), middle]
    assert prompt.context == [prefix, *local]
    repository = {tokenizer.id_of(name) for name in REPOSITORY_MARKS}
    assert {*marks.ids, *repository} - {end, 256} <= never_written(tokenizer, marks)
    assert not {256, end} & never_written(tokenizer, marks)


@pytest.mark.parametrize(
    "tokenizer", [ByteTokenizer(), byte_level("</s>"), byte_level("<s>", "<fim_prefix>")]
)
def test_a_vocabulary_without_all_marks_has_none(tokenizer: Tokenizer) -> None:
    assert InfillMarks.named(tokenizer) is None


def test_the_configuration_goes_before_the_vocabulary() -> None:
    config = LongLlamaConfig(infill_marks=[3, 4])
    assert InfillMarks.of(config, PIECES) == InfillMarks(3, 4)
    assert InfillMarks.of(LongLlamaConfig(), PIECES) == MARKED == InfillMarks(SUF, PRE, MID, EOT)
    assert InfillMarks.of(LongLlamaConfig()) is None


lines = st.lists(st.sampled_from(["x = 1\n", "    return é\n", "\n", "  y\n"]), min_size=1)


@settings(deadline=None)
@given(before=lines.map("".join), after=lines.map("".join))
def test_code_llamas_own_prompt(before: str, after: str) -> None:
    """``infilling_prompt_tokens``: a blank before the prefix, none before the suffix."""
    shown, end = first_lines(after, PIECES, 96)
    prompt = build_prompt(PATH, before, PIECES, 4000, after, MARKED)
    face = THEIRS.encode("☺")
    own = THEIRS.encode("☺" + after[:end])[len(face) :]
    assert own == shown
    assert prompt.ids == [1, PRE, *THEIRS.encode(HEADER + before), SUF, *own, MID]
    assert prompt.end == len(before) + end


@settings(deadline=None)
@given(before=lines.map("".join), after=lines.map("".join), max_tokens=st.integers(16, 300))
def test_a_prompt_fits(before: str, after: str, max_tokens: int) -> None:
    prompt = build_prompt(PATH, before * 9, PIECES, max_tokens, after, MARKED)
    assert len(prompt.ids) <= max_tokens
    assert (PRE in prompt.ids) == (MID in prompt.ids) == (prompt.ids[-1] == MID)
    assert len(prompt.ids) == len(prompt.context) + prompt.n_tail


@pytest.fixture(scope="module")
def code_llama() -> LoadedModel:
    """Random weights, with more rows in the head than the vocabulary has ids."""
    return loaded_with(PIECES)


def loaded_with(tokenizer: SentencePieceTokenizer) -> LoadedModel:
    fields = {**tiny_config().to_dict(), "vocab_size": 656, "bos_token_id": 1, "eos_token_id": 2}
    config = LongLlamaConfig.from_dict(fields)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = LongLlamaForCausalLM(config).eval()
    return LoadedModel("code", model, tokenizer, "code", Limits(48, 256))


def complete(engine: Engine, **changes: Any) -> CompletionResult:
    request = CompletionRequest("cursor.py", PREFIX, SUFFIX, max_tokens=8, multiline=False)
    return engine.complete(replace(request, **changes), lambda: False)


@torch.no_grad()
def test_the_suggestion_is_what_greedy_decoding_gives(
    make_engine: MakeEngine, code_llama: LoadedModel
) -> None:
    """Against one uncached forward a token, of Code Llama's prompt put together by hand."""
    prefix, suffix = "def f(x):\n    return (x)\n", "\nprint(f(1))\n"
    found = complete(make_engine(loaded=code_llama), prefix=prefix, suffix=suffix)
    own = THEIRS.encode("☺" + suffix)[len(THEIRS.encode("☺")) :]
    ids = [1, PRE, *THEIRS.encode("# cursor.py\n" + prefix), SUF, *own, MID]
    n_prompt, banned = len(ids), sorted(never_written(PIECES, MARKED, 656))
    for _ in range(8):
        logits = code_llama.model(torch.tensor([ids]), last_context_length=4096).logits[0, -1]
        ids.append(int(logits.index_fill(0, torch.tensor(banned), float("-inf")).argmax()))
    said = PIECES.decode(ids[n_prompt:]).partition("\n")[0].rstrip()
    assert found.text.replace("\ufffd", "") == said.replace("\ufffd", "") != ""


@pytest.mark.parametrize("remembers", [False, True])
def test_typing_reads_again_what_stands_after_the_cursor(
    make_engine: MakeEngine, remember: Remember, code_llama: LoadedModel, remembers: bool
) -> None:
    engine, fresh = make_engine(loaded=code_llama), make_engine(loaded=code_llama)
    for one in (engine, fresh) if remembers else ():
        remember(one, "other.py", (PREFIX + SUFFIX).replace("line", "other"))
    n_tail = len(PIECES.encode(SUFFIX)) + 2
    before = complete(engine).timings
    for typed in ("f", "foo", "foo(1)\n"):
        again = complete(engine, prefix=PREFIX + typed)
        assert again.timings.reused_tokens >= before.prompt_tokens - n_tail - 2
        before = again.timings
    first = complete(fresh, prefix=PREFIX + typed)
    assert (again.text, again.stop_reason) == (first.text, first.stop_reason)


def test_the_end_of_the_middle_ends_a_suggestion(
    make_engine: MakeEngine, code_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither the other marks nor ids that the vocabulary lacks are written, however likely."""
    raised = torch.zeros(656)
    raised[[PRE, SUF, MID, 1, *range(640, 656)]] = 1e4
    head = code_llama.model.lm_head.forward
    monkeypatch.setattr(code_llama.model.lm_head, "forward", lambda hidden: head(hidden) + raised)
    loud = complete(make_engine(loaded=code_llama), suffix="")
    monkeypatch.setattr(code_llama.model.lm_head, "forward", head)
    assert loud.text == complete(make_engine(loaded=code_llama), suffix="").text != ""
    ends = torch.zeros(656)
    ends[EOT] = 1e4
    monkeypatch.setattr(code_llama.model.lm_head, "forward", lambda hidden: head(hidden) + ends)
    found = complete(make_engine(loaded=code_llama), prefix="x = 1\n")
    assert (found.text, found.stop_reason) == ("", "end_of_text")


def test_a_word_is_healed_in_pieces(make_engine: MakeEngine, code_llama: LoadedModel) -> None:
    """What was taken back is written first, and is no part of the suggestion."""
    prompt = build_prompt(PATH, "import tokeniz", PIECES, 4000, SUFFIX, MARKED)
    kept = PIECES.decode(prompt.context[2:])
    assert kept + prompt.healed == " " + HEADER + "import tokeniz"
    assert prompt.healed
    engine = make_engine(loaded=code_llama)
    assert "tokeniz" not in complete(engine, prefix="import tokeniz").text


def test_indentation_that_the_vocabulary_merges_is_not_owed(make_engine: MakeEngine) -> None:
    """OpenLLaMA's first reads no blanks at a line's end: nothing of the answer is lost."""
    merging = SentencePieceTokenizer(vocabulary(**MERGES_BLANKS))
    engine = make_engine(loaded=loaded_with(merging))
    bare = complete(engine, prefix="x = 1\n", suffix="").text
    assert complete(engine, prefix="x = 1\n    ", suffix="").text == bare != ""
