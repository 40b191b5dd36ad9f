"""Models that were taught to fill in: marks of their vocabulary, and the order of the prompt."""

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
from longllama_code.generation.models import LoadedModel, tiny_config
from longllama_code.generation.prompting.infill import (
    FAMILIES,
    MAX_SUFFIX_TOKENS,
    InfillFamily,
    InfillMarks,
    first_lines,
    never_written,
)
from longllama_code.generation.prompting.prompt import MARKED_STEP_CHARS, PromptSource, build_prompt
from longllama_code.memory.segments.identity import path_header
from longllama_code.memory.segments.segmenter import Limits
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult
from longllama_code.tokenizers.sentencepiece import MARKS, SentencePieceTokenizer
from longllama_code.tokenizers.tokenizer import ByteTokenizer, FastTokenizer, Tokenizer
from tests.tokenizers.pieces import MERGES_BLANKS, vocabulary

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

PIECES = SentencePieceTokenizer(vocabulary())
THEIRS = sentencepiece.SentencePieceProcessor(model_proto=vocabulary())
PRE, SUF, MID, EOT = (THEIRS.piece_to_id(name) for name in MARKS)
MARKED = InfillMarks.named(PIECES)
PATH, HEADER = "src/a.py", path_header("src/a.py")
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
def test_the_marks_of_a_family(family: InfillFamily) -> None:
    """Names, then what follows the cursor, then what stands before it: typing only appends."""
    names = [family.prefix, family.suffix, family.middle, family.repository, family.file]
    known = [name for name in names if name is not None]
    tokenizer = byte_level("</s>", "<|im_end|>", *known)
    marks = InfillMarks.named(tokenizer)
    assert marks is not None
    prefix, suffix, middle, repository, file = (name and tokenizer.id_of(name) for name in names)
    text = "x" + "".join(known)
    around = PromptSource(PATH, text + "\n", text, "shop")
    prompt = build_prompt(around, tokenizer, 4000, marks)
    before, after = tokenizer.encode(text + "\n"), tokenizer.encode(text)
    header = tokenizer.encode(HEADER)
    if file is None:
        assert prompt.ids == [prefix, suffix, *after, middle, *header, *before]
    else:
        of_files = [repository, *tokenizer.encode("shop\n"), file, *tokenizer.encode(PATH + "\n")]
        assert prompt.ids == [*of_files, prefix, suffix, *after, middle, *before]
    # What stands for no text ends a suggestion: a turn's end, another file.
    assert tokenizer.id_of("<|im_end|>") in marks.ends
    assert not never_written(tokenizer, marks)


def test_a_repository_without_a_name_is_not_told() -> None:
    names = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>")
    tokenizer = byte_level("</s>", *names)
    ids = build_prompt(PromptSource(PATH, "x\n"), tokenizer, 4000, InfillMarks.named(tokenizer)).ids
    assert ids[0] == tokenizer.id_of("<|file_sep|>")
    assert tokenizer.id_of("<|repo_name|>") not in ids


def test_the_first_starcoder_has_its_own_names_for_files() -> None:
    tokenizer = byte_level("</s>", *(n for n in vars(FAMILIES[-1]).values() if n))
    marks = InfillMarks.named(tokenizer)
    assert marks is not None
    assert marks.file == tokenizer.id_of("<filename>")


def test_as_much_text_as_was_measured_to_help() -> None:
    """Five hundred tokens of either side at least, where there are as many."""
    line = "value = 1\n"
    prompt = build_prompt(PromptSource(PATH, line * 900, line * 900), PIECES, 16_000, MARKED)
    n_before = 900 * len(line) - prompt.start
    assert MARKED_STEP_CHARS <= n_before < 2 * MARKED_STEP_CHARS
    shown = THEIRS.encode(line * ((prompt.end - 900 * len(line)) // len(line)))
    assert MAX_SUFFIX_TOKENS - 8 < len(shown) <= MAX_SUFFIX_TOKENS


@pytest.mark.parametrize(
    "tokenizer", [ByteTokenizer(), byte_level("</s>"), byte_level("<s>", "<fim_prefix>")]
)
def test_a_vocabulary_without_all_marks_has_none(tokenizer: Tokenizer) -> None:
    assert InfillMarks.named(tokenizer) is None


def test_the_configuration_goes_before_the_vocabulary() -> None:
    config = LongLlamaConfig(infill_marks=[3, 4])
    assert InfillMarks.of(config, PIECES) == InfillMarks((3,), (4,))
    found = InfillMarks.of(LongLlamaConfig(), PIECES)
    assert found is not None
    assert found == MARKED
    assert (found.suffix, found.prefix, found.ends) == ((PRE, SUF), (MID,), frozenset((EOT,)))
    assert InfillMarks.of(LongLlamaConfig()) is None


lines = st.lists(st.sampled_from(["x = 1\n", "    return é\n", "\n", "  y\n"]), min_size=1)


@settings(deadline=None)
@given(before=lines.map("".join), after=lines.map("".join))
def test_code_llamas_own_prompt(before: str, after: str) -> None:
    """``infilling_prompt_tokens(suffix_first=True)``: a blank before the prefix alone."""
    shown, end = first_lines(after, PIECES, MAX_SUFFIX_TOKENS)
    prompt = build_prompt(PromptSource(PATH, before, after), PIECES, 4000, MARKED)
    face = THEIRS.encode("☺")
    own = THEIRS.encode("☺" + after[:end])[len(face) :]
    assert own == shown
    assert prompt.ids == [1, PRE, SUF, *own, MID, *THEIRS.encode(HEADER + before)]
    assert prompt.end == len(before) + end


@settings(deadline=None)
@given(before=lines.map("".join), after=lines.map("".join), max_tokens=st.integers(16, 300))
def test_a_prompt_fits(before: str, after: str, max_tokens: int) -> None:
    prompt = build_prompt(PromptSource(PATH, before * 9, after), PIECES, max_tokens, MARKED)
    assert len(prompt.ids) <= max_tokens
    assert prompt.ids[:3] == [1, PRE, SUF]
    assert prompt.ids.count(MID) == 1


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
    ids = [1, PRE, SUF, *own, MID, *THEIRS.encode("# cursor.py\n" + prefix)]
    n_prompt, banned = len(ids), sorted(never_written(PIECES, MARKED, 656))
    for _ in range(8):
        logits = code_llama.model(torch.tensor([ids]), last_context_length=4096).logits[0, -1]
        ids.append(int(logits.index_fill(0, torch.tensor(banned), float("-inf")).argmax()))
    said = PIECES.decode(ids[n_prompt:]).partition("\n")[0].rstrip()
    assert found.text.replace("\ufffd", "") == said.replace("\ufffd", "") != ""


@pytest.mark.parametrize("remembers", [False, True])
def test_typing_on_reads_what_was_typed_alone(
    make_engine: MakeEngine, remember: Remember, code_llama: LoadedModel, remembers: bool
) -> None:
    engine, fresh = make_engine(loaded=code_llama), make_engine(loaded=code_llama)
    for one in (engine, fresh) if remembers else ():
        other = (PREFIX + SUFFIX).replace("line", "other").replace("f(", "g(")
        remember(one, "other.py", other)  # no namesake, which would be shown in the function alone
    before = complete(engine).timings
    for typed in ("f", "foo", "foo(1)\n"):
        again = complete(engine, prefix=PREFIX + typed)
        assert again.timings.reused_tokens >= before.prompt_tokens - 2
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
    around = PromptSource(PATH, "import tokeniz", SUFFIX)
    prompt = build_prompt(around, PIECES, 4000, MARKED)
    kept = PIECES.decode(prompt.ids[prompt.ids.index(MID) + 1 :])
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
