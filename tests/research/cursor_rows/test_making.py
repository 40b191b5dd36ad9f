"""Rows: the product's own prompt and choice, and no answer that is given away."""

from dataclasses import replace

import pytest

from longllama_code.definitions.index import DefinitionIndex
from longllama_code.errors import ConfigError
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.definition_layout import head_ids
from longllama_code.generation.prompting.piece_excerpts import DefinitionPieces
from longllama_code.generation.prompting.prompt import PromptSource, build_prompt
from longllama_code.research.cursor_rows.answers import check_trainable, gives_away
from longllama_code.research.cursor_rows.drawing import Cursor, Shares, draw_cursors
from longllama_code.research.cursor_rows.making import (
    DEFINITION_TOKENS,
    LOCAL_TOKENS,
    RowMaker,
    end_id,
)
from longllama_code.research.datasets.packages import load_packages
from longllama_code.research.datasets.sources import SourceTree
from tests.code_model import TOKENIZER
from tests.research.repositories import marks, rows_of_tree, tree

SHARES = Shares(chars_per_row=60)


def indexed(sources: SourceTree) -> DefinitionIndex:
    index = DefinitionIndex()
    for path, text in sources.texts.items():
        index.put(path, text)
    return index


def test_cursors_cut_the_answer_out_of_the_file() -> None:
    sources = tree("parcel")
    cursors = [*draw_cursors("parcel", sources.texts, indexed(sources), SHARES)]
    assert {cursor.kind for cursor in cursors} >= {"call", "argument", "member", "statement"}
    for cursor in cursors:
        text = sources.texts[cursor.path]
        assert text.startswith(cursor.prefix + cursor.middle)
        assert cursor.ends == bool(cursor.suffix or cursor.kind not in ("statement", "block"))
        if cursor.ends:
            assert cursor.prefix + cursor.middle + cursor.suffix == text
        else:
            assert cursor.middle.endswith("\n")


def test_most_answers_need_a_name_of_another_file() -> None:
    sources, index = tree("parcel"), indexed(tree("parcel"))
    drawn = [*draw_cursors("parcel", sources.texts, index, replace(SHARES, needs_repository=1.0))]
    copying = [each for each in drawn if each.path == "parcel/copying.py"]
    names = ("Parcel", "parcel", "put_", "get_", "items", "limit", "folder", "key", "copy")
    assert copying
    assert all(any(name in each.middle for name in names) for each in copying)


Ids = tuple[tuple[int, ...], tuple[int, ...]]
"""Of the open file, and of what is to be written."""


def ids_at(cursor: Cursor) -> Ids:
    """The product's prompt, and the text that follows."""
    source = PromptSource(cursor.path, cursor.prefix, cursor.suffix, "parcel")
    prompt = build_prompt(source, TOKENIZER, LOCAL_TOKENS, marks())
    end = [end_id(TOKENIZER, marks())] if cursor.ends else []
    n_head = len(head_ids("parcel", TOKENIZER, marks()))
    middle = TOKENIZER.encode(prompt.healed + cursor.middle)
    return tuple(prompt.ids[n_head:]), (*middle, *end)


def test_a_row_is_the_products_prompt_and_the_text_that_follows() -> None:
    sources, made = tree("parcel"), rows_of_tree()
    cursors = draw_cursors("parcel", sources.texts, indexed(sources), SHARES)
    assert made.head.ids == tuple(head_ids("parcel", TOKENIZER, marks()))
    assert made.rows
    assert {(row.local, row.middle) for row in made.rows} <= set(map(ids_at, cursors))
    assert {row.middle[-1] for row in made.rows} >= {
        end_id(TOKENIZER, marks()),
        *TOKENIZER.encode("\n"),
    }


def test_positives_are_what_the_product_chooses_without_the_answer() -> None:
    sources, made = tree("parcel"), rows_of_tree()
    expected = dict[Ids, list[str]]()
    for each in draw_cursors("parcel", sources.texts, indexed(sources), SHARES):
        known = RepositoryDefinitions(TOKENIZER)
        for path, text in sources.texts.items():
            known.put(path, each.prefix + each.suffix if path == each.path else text)
        at = each.path, each.prefix, each.suffix
        wanted = DefinitionPieces(known).wanted(*at, DEFINITION_TOKENS).excerpts
        kept = [one for one in reversed(wanted) if not gives_away(one.text, each.middle)]
        expected[ids_at(each)] = [f"{one.path}\n{one.text}\n" for one in kept]
    assert any(row.positives for row in made.rows)
    for row in made.rows:
        shown = [TOKENIZER.decode(made.definitions[each].ids) for each in row.positives]
        assert shown == expected[row.local, row.middle]
    texts = [TOKENIZER.decode(each.ids) for each in made.definitions]
    assert any("def open_parcel(folder: str)" in text for text in texts)


def test_no_definition_holds_the_answer() -> None:
    made = rows_of_tree(needs_repository=0.0)
    for row in made.rows:
        answer = TOKENIZER.decode(row.middle).strip()
        for number in (*row.positives, *row.negatives):
            assert not gives_away(TOKENIZER.decode(made.definitions[number].ids), answer)


def test_an_answer_that_a_copy_of_the_file_holds_is_given_away_by_none() -> None:
    sources = tree("parcel")
    texts = {**sources.texts}
    texts["parcel/constants.py"] = "LONGEST_PARCEL_NAME = compute_the_longest(1, 2, 3)\n" * 20
    texts["parcel/copied.py"] = "LONGEST_PARCEL_NAME = compute_the_longest(1, 2, 3)\n" * 19
    maker = RowMaker(TOKENIZER, marks(), Shares(chars_per_row=30, needs_repository=0.0))
    made = maker.rows(SourceTree("parcel", texts))
    asked = [r for r in made.rows if "compute_the_longest(1" in TOKENIZER.decode(r.middle)]
    assert asked
    for row in asked:
        held = [TOKENIZER.decode(made.definitions[n].ids) for n in (*row.positives, *row.negatives)]
        assert not any("compute_the_longest(1, 2, 3)" in text for text in held)


def test_names_may_be_shown_and_longer_answers_may_not() -> None:
    assert not gives_away("def put_parcel(self, key): ...", "put_parcel")
    assert not gives_away("def put(key): ...", "put(key)")  # short: by chance
    assert gives_away("limit = compute( 1,\n 2 )", "compute( 1, 2 )")


def test_negatives_are_of_other_files_and_not_needed() -> None:
    made = rows_of_tree()
    assert any(row.negatives for row in made.rows)
    for row in made.rows:
        assert not set(row.negatives) & set(row.positives)
        local = TOKENIZER.decode(row.local)
        for number in row.negatives:
            each = made.definitions[number]
            assert not local.startswith(TOKENIZER.decode(each.ids[: each.n_path]))


def test_equal_seeds_give_equal_rows() -> None:
    assert rows_of_tree() == rows_of_tree()
    assert rows_of_tree(seed=8) != rows_of_tree()


@pytest.mark.parametrize("name", ["openai-agents", "openai_agents", "frogmouth", "Spoolman"])
def test_what_is_evaluated_on_is_not_trained_on(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        check_trainable(name)


def test_no_training_package_is_evaluated_on() -> None:
    for package in load_packages("training"):
        check_trainable(package.name)
