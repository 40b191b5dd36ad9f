"""The text after the cursor in the prompt: where it stands, what it hides, that it stays put."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.generation.completer import Completer
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import TUNED_SUFFIX_TOKENS, InfillMarks, first_lines
from longllama_code.generation.prompting.prompt import Prompt, PromptSource, build_prompt
from longllama_code.memory.completion_memory import LocalText
from longllama_code.memory.segments.identity import path_header
from longllama_code.memory.segments.segment import PAGE_TOKENS
from longllama_code.model_sources import catalog
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult
from longllama_code.tokenizers.tokenizer import ByteTokenizer, FastTokenizer, Tokenizer

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

BYTES = ByteTokenizer()
MARKS = InfillMarks((0xFE,), (0xFF,))
PATH = "src/a.py"
BEGIN, HEADER = [256], [*path_header(PATH).encode()]
TEXT = "".join(f"line_{number:02} = {number:02}\n" for number in range(60))
CURSOR = TEXT.index("line_40") + len("line_40 = ")
PREFIX, SUFFIX = TEXT[:CURSOR], TEXT[CURSOR:]
line = st.sampled_from(["x = 1", "    return é", "", "\tpass", "word " * 30, "y" * 300, "😀"])
texts = st.lists(st.tuples(line, st.sampled_from(["\n", ""])).map("".join), max_size=20).map(
    "".join
)


def infill(suffix: str, prefix: str = PREFIX, max_tokens: int = 4000) -> Prompt:
    return build_prompt(PromptSource(PATH, prefix, suffix), BYTES, max_tokens, MARKS)


def test_the_text_after_the_cursor_comes_first() -> None:
    prompt = infill(")\n\nafter = 1\n", "value = call(x\n")
    before = [*BEGIN, 0xFE, *b")\n\nafter = 1\n", 0xFF, *HEADER]
    assert prompt.ids == [*before, *b"value = call(x\n"]
    assert prompt.end == len("value = call(x\n") + len(")\n\nafter = 1\n")


@pytest.mark.parametrize("prefix", ["", "x = valu", "    ", PREFIX, "x = 1\n" * 700])
def test_without_marks_or_suffix_nothing_is_different(prefix: str) -> None:
    plain = build_prompt(PromptSource(PATH, prefix), BYTES, 400)
    assert (
        build_prompt(PromptSource(PATH, prefix, SUFFIX), BYTES, 400)
        == plain
        == infill("", prefix, 400)
    )
    assert plain.end == len(prefix)
    with_suffix = infill(SUFFIX, prefix, 4000)
    assert with_suffix.healed == plain.healed


def check_first_lines(tokenizer: Tokenizer, text: str, max_tokens: int) -> None:
    ids, end = first_lines(text, tokenizer, max_tokens)
    assert len(ids) <= max(0, max_tokens)
    assert tokenizer.decode(ids) == text[:end]
    whole = text[:end].rpartition("\n")[0]
    if end < len(text) and whole.strip():
        assert text[end - 1] == "\n"
    following = text[: text.find("\n", end) + 1] or text
    if end < len(text):
        assert len(tokenizer.encode(following)) > max_tokens


@settings(deadline=None)
@given(text=texts, max_tokens=st.sampled_from([-2, 0, 1, 7, 40, 96]))
def test_first_lines(text: str, max_tokens: int) -> None:
    """Whole ones, as many as fit, unless the first that says anything does not."""
    check_first_lines(BYTES, text, max_tokens)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("abc\ndefgh\n", "abc\n"), ("abcdefghijk\n", "abcdefgh"), ("\n\nabcdefghi\n", "\n\nabcdef")],
)
def test_the_last_line_is_cut_only_where_none_fits(text: str, shown: str) -> None:
    assert first_lines(text, BYTES, 8) == ([*shown.encode()], len(shown))


def test_a_character_is_shown_whole() -> None:
    assert first_lines("abc😀", BYTES, 5) == ([*b"abc"], 3)


@pytest.fixture(scope="module")
def fast() -> FastTokenizer:
    return FastTokenizer.from_folder(catalog.pull("mini"))


@pytest.mark.mini
@settings(deadline=None, max_examples=50)
@given(text=texts, max_tokens=st.sampled_from([0, 7, 40, 96]))
def test_first_lines_of_the_default_model(fast: FastTokenizer, text: str, max_tokens: int) -> None:
    ids, end = first_lines(text, fast, max_tokens)
    assert len(ids) <= max_tokens
    assert text[:end].startswith(fast.decode(ids))


@settings(deadline=None)
@given(prefix=texts, suffix=texts, max_tokens=st.integers(8, 420))
def test_a_prompt_fits(prefix: str, suffix: str, max_tokens: int) -> None:
    prompt = infill(suffix, prefix, max_tokens)
    assert len(prompt.ids) <= max_tokens
    n_after = prompt.end - len(prefix)
    shown = suffix[:n_after].encode()
    assert len(shown) <= min(TUNED_SUFFIX_TOKENS, max_tokens // 4)
    if shown:
        assert prompt.ids[: len(shown) + 3] == [256, 0xFE, *shown, 0xFF]
    assert max_tokens < 30 or not suffix or not suffix[0].isascii() or shown
    local = prefix[prompt.start : len(prefix) - len(prompt.healed)]
    assert local.encode().endswith(bytes(prompt.ids[-len(local) :] if local else b""))


def test_the_suffix_shown_is_bounded() -> None:
    shown = infill(SUFFIX).end - len(PREFIX)
    assert TUNED_SUFFIX_TOKENS - len("line_00 = 00\n") < shown <= TUNED_SUFFIX_TOKENS
    assert infill(SUFFIX, max_tokens=100).end < infill(SUFFIX).end


@settings(deadline=None)
@given(prefix=texts, typed=texts, suffix=texts)
def test_typing_on_only_appends(prefix: str, typed: str, suffix: str) -> None:
    """As far as healing leaves it: one token, or the blanks before the cursor."""
    prefix, typed = prefix[:500], typed[:400]
    before, after = infill(suffix, prefix), infill(suffix, prefix + typed)
    n_same = len(before.ids) - (len(before.healed.encode()) if before.healed.isspace() else 0)
    assert after.ids[:n_same] == before.ids[:n_same]
    assert after.end - len(prefix + typed) == before.end - len(prefix)


def complete(engine: Engine, **changes: Any) -> CompletionResult:
    request = CompletionRequest("cursor.py", PREFIX, SUFFIX, max_tokens=8)
    return engine.complete(replace(request, **changes), lambda: False)


@pytest.mark.parametrize("remembers", [False, True])
def test_the_cache_of_the_last_request_while_typing(
    make_engine: MakeEngine, remember: Remember, infilling: LoadedModel, remembers: bool
) -> None:
    """With memory of the file as well, though the buffer has moved on since it was encoded."""
    engine, fresh = make_engine(loaded=infilling), make_engine(loaded=infilling)
    for one in (engine, fresh) if remembers else ():
        remember(one, "cursor.py", TEXT)
        remember(one, "other.py", TEXT.replace("line", "other"))
    n_before = complete(engine).timings.prompt_tokens
    for typed in ("f", "foo", "foo(1)\n", "foo(1)\nb = "):
        again = complete(engine, prefix=PREFIX + typed)
        assert again.timings.reused_tokens >= n_before - 1
        n_before = again.timings.prompt_tokens
    first = complete(fresh, prefix=PREFIX + typed)
    assert (again.text, again.stop_reason) == (first.text, first.stop_reason)
    assert first.timings.reused_tokens == 0
    assert complete(engine, suffix="x" + SUFFIX).timings.reused_tokens <= 2


@pytest.mark.parametrize("suffix", [SUFFIX, ")\n", ""])
def test_only_a_model_with_marks_is_shown_the_suffix(
    make_engine: MakeEngine, tiny: LoadedModel, infilling: LoadedModel, suffix: str
) -> None:
    plain, filling = (
        complete(make_engine(loaded=loaded), suffix=suffix).timings.prompt_tokens
        for loaded in (tiny, infilling)
    )
    shown = first_lines(suffix, BYTES, TUNED_SUFFIX_TOKENS)[0]
    assert filling - plain == (len(shown) + 2 if shown else 0)


@torch.no_grad()
def test_the_suggestion_is_what_greedy_decoding_gives(
    make_engine: MakeEngine, infilling: LoadedModel
) -> None:
    """Against one uncached forward a token, of a prompt put together by hand."""
    prefix, suffix = "def f(x):\n    return (x)\n", "\nprint(f(1))\n"
    found = complete(
        make_engine(loaded=infilling),
        **{"prefix": prefix, "suffix": suffix, "uses_memory": False, "multiline": False},
    )
    head = [256, 0xFE, *suffix.encode(), 0xFF]
    for ids, same in (([*head, *b"# cursor.py\n"], True), ([256, *b"# cursor.py\n"], False)):
        ids += prefix.encode()
        for _ in range(8):
            ids.append(int(infilling.model(torch.tensor([ids])).logits[0, -1].argmax()))
        said = bytes(token for token in ids[-8:] if token < 256).decode("utf-8", "ignore")
        said = said.partition("\n")[0].rstrip().replace("\ufffd", "")
        assert (found.text.replace("\ufffd", "") == said) == same


def test_what_stands_for_no_text_is_never_written(
    make_engine: MakeEngine, infilling: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the marks nor the begin of a document, however likely."""
    plain = complete(make_engine(loaded=infilling), prefix="x = ", suffix="\ny = 2\n")
    raises = torch.zeros(infilling.tokenizer.vocab_size)
    raises[[0xFE, 0xFF, 256]] = 1e4
    head = infilling.model.lm_head.forward
    monkeypatch.setattr(infilling.model.lm_head, "forward", lambda hidden: head(hidden) + raises)
    loud = complete(make_engine(loaded=infilling), prefix="x = ", suffix="\ny = 2\n")
    assert loud.text == plain.text != ""


def test_a_small_window_is_not_left(infilling: LoadedModel, make_engine: MakeEngine) -> None:
    half = infilling.model.config.window // 2
    result = complete(
        make_engine(loaded=infilling), prefix="y" * 2047, suffix="z" * 5000, max_tokens=10**6
    )
    assert result.timings.prompt_tokens == half - 1
    assert result.timings.generated_tokens <= half


def hidden(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, suffix: str = SUFFIX
) -> tuple[LocalText, set[int]]:
    """What a completion calls local, and the characters of the file that it does not see."""
    views: list[Any] = []
    engine = Engine.create(loaded, None)
    for _ in engine.remember("cursor.py", TEXT):
        pass
    made = Completer._completion_memory

    def note(*arguments: Any) -> Any:
        views.append((arguments[2], made(*arguments)))
        return views[-1][1]

    with monkeypatch.context() as patch:
        patch.setattr(Completer, "_completion_memory", note)
        complete(engine, suffix=suffix)
    ((prompt, view),) = views
    shown_rows, memory, unseen = view.layer_view(2), engine._memory, set[int]()
    for segment in memory.files["cursor.py"].segments:
        first, last = memory.rows.span(segment.id)
        seen = shown_rows.visible[first:last].tolist()
        unseen |= {segment.piece.start + at for at, shown in enumerate(seen) if not shown}
    return LocalText("cursor.py", PREFIX + suffix, prompt.start, prompt.end), unseen


def test_pages_that_the_prompt_repeats_are_masked(
    tiny: LoadedModel, infilling: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the lines after the cursor too, to the page; the rest of the file is seen."""
    plain, unseen = hidden(tiny, monkeypatch)
    assert (plain.start, plain.end) == (0, CURSOR)
    assert {*range(CURSOR)} <= unseen
    assert max(unseen) < CURSOR + PAGE_TOKENS
    local, unseen = hidden(infilling, monkeypatch)
    assert (local.start, local.end) == (0, CURSOR + len(first_lines(SUFFIX, BYTES, 96)[0]))
    assert local.text[local.end - 1] == "\n"
    assert {*range(local.end)} <= unseen
    assert max(unseen) < local.end + PAGE_TOKENS < len(TEXT)
