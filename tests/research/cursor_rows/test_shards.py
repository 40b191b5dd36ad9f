"""Shards: what is written is read, in files of bounded size, and damage is noticed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from longllama_code.errors import CheckpointError, ConfigError
from longllama_code.research.cursor_rows.collection import (
    MANIFEST,
    Source,
    digest_of,
    read_all_shards,
    read_shards,
    write_shards,
)
from longllama_code.research.cursor_rows.drawing import Shares
from longllama_code.research.cursor_rows.making import RepositoryRows
from longllama_code.research.cursor_rows.row import CursorRow, DefinitionIds, RepositoryHead
from longllama_code.research.cursor_rows.shards import Shard, ShardWriter, read_shard
from longllama_code.research.cursor_rows.spans import SPAN_KINDS
from tests.code_model import TOKENIZER
from tests.research.repositories import marks, rows_of_tree, tree

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=12).map(tuple)
NAMES = ("parcel", "letter", "stamp")


@st.composite
def repositories(draw: st.DrawFn) -> RepositoryRows:
    """Any rows of one repository."""
    definitions = draw(st.lists(st.tuples(st.integers(0, 3), IDS), max_size=5))
    known = st.sampled_from(range(len(definitions))) if definitions else st.nothing()
    numbers = st.lists(known, max_size=4 if definitions else 0, unique=True).map(tuple)
    rows = draw(
        st.lists(
            st.builds(
                CursorRow, st.just(0), st.sampled_from(SPAN_KINDS), IDS, IDS, numbers, numbers
            ),
            max_size=6,
        )
    )
    head = RepositoryHead(draw(st.text(min_size=1, max_size=5)), draw(IDS))
    return RepositoryRows(head, [DefinitionIds(0, n, ids) for n, ids in definitions], rows)


def contents(shards: list[Shard]) -> list[object]:
    """All rows, with what their numbers stand for."""
    return [
        (
            shard.head(row.repository),
            row.kind,
            row.local,
            row.middle,
            *(
                [(shard.definition(n).n_path, shard.definition(n).ids) for n in part]
                for part in (row.positives, row.negatives)
            ),
        )
        for shard in shards
        for row in map(shard.row, range(shard.n_rows))
    ]


def expected(made: list[RepositoryRows]) -> list[object]:
    return [
        (
            each.head,
            row.kind,
            row.local,
            row.middle,
            *(
                [(each.definitions[n].n_path, each.definitions[n].ids) for n in part]
                for part in (row.positives, row.negatives)
            ),
        )
        for each in made
        for row in each.rows
    ]


@settings(max_examples=40)
@given(made=st.lists(repositories(), max_size=3, unique_by=lambda each: each.head.name))
def test_what_is_written_is_read(
    made: list[RepositoryRows], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    writer = ShardWriter(folder, "train", max_bytes=6000)
    for each in made:
        writer.add(each)
    writer.flush()
    assert contents([read_shard(path) for path in writer.paths]) == expected(made)


def test_no_shard_is_larger_than_allowed(tmp_path: Path) -> None:
    made, most = [rows_of_tree(name) for name in NAMES], 60_000
    writer = ShardWriter(tmp_path, "train", most)
    for each in made:
        writer.add(each)
    writer.flush()
    assert len(writer.paths) > 2
    assert all(path.stat().st_size <= most for path in writer.paths)
    assert contents([read_shard(path) for path in writer.paths]) == expected(made)


def source(name: str) -> Source:
    return Source(lambda: tree(name), name, licence="MIT")


def write(folder: Path, *names: str) -> Path:
    shares = Shares(chars_per_row=100)
    lines = list[str]()
    return write_shards(
        folder, [source(name) for name in names], TOKENIZER, marks(), shares, lines.append
    )


def test_sources_are_listed_with_hash_and_licence(tmp_path: Path) -> None:
    fields = json.loads(write(tmp_path / "s", *NAMES).read_text())
    assert [each["name"] for each in fields["sources"]] == [*NAMES]
    assert {each["licence"] for each in fields["sources"]} == {"MIT"}
    assert fields["sources"][0]["sha256"] == digest_of(tree("parcel"))
    assert [each["held_out"] for each in fields["sources"]] == [False, False, True]
    collected = read_shards(tmp_path / "s")
    shards = (*collected.train, *collected.held_out)
    assert sum(s.n_rows for s in shards) == sum(each["rows"] for each in fields["sources"])
    held_out = {s.head(s.row(n).repository).name for s in collected.held_out for n in range(2)}
    assert held_out == {"stamp"}


def test_shards_of_several_folders_are_one_collection(tmp_path: Path) -> None:
    write(tmp_path / "one", "parcel", "letter")
    write(tmp_path / "two", "stamp", "crate")
    both = read_all_shards([tmp_path / "one", tmp_path / "two"])
    parts = [read_shards(tmp_path / name) for name in ("one", "two")]
    for name in ("train", "held_out"):
        assert contents([*getattr(both, name)]) == contents(
            [shard for part in parts for shard in getattr(part, name)]
        )
    assert len({both.identity, *(part.identity for part in parts)}) == 3
    fields = json.loads((tmp_path / "two" / MANIFEST).read_text())
    (tmp_path / "two" / MANIFEST).write_text(json.dumps({**fields, "vocabulary": "another"}))
    with pytest.raises(ConfigError, match="different vocabularies"):
        read_all_shards([tmp_path / "one", tmp_path / "two"])


def test_equal_sources_give_equal_shards(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write(tmp_path / name, *NAMES)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 3
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("name", ["frogmouth", "openai-agents"])
def test_shards_of_what_is_evaluated_on_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        write(tmp_path / "s", "parcel", name)
    assert not (tmp_path / "s").exists()


def test_shards_are_written_once(tmp_path: Path) -> None:
    write(tmp_path, *NAMES)
    with pytest.raises(ConfigError, match="has shards already"):
        write(tmp_path, *NAMES)
    with pytest.raises(ConfigError, match="two repositories are named parcel"):
        write(tmp_path / "twice", "parcel", "parcel")
    with pytest.raises(ConfigError, match="no repository"):
        write(tmp_path / "none")


def test_damage_is_noticed(tmp_path: Path) -> None:
    manifest = write(tmp_path, *NAMES)
    path = tmp_path / "train-000.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="train-000"):
        read_shards(tmp_path)
    path.write_bytes(whole)
    fields = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**fields, "layout": 0}))
    with pytest.raises(CheckpointError, match="make the shards again"):
        read_shards(tmp_path)
    manifest.write_text("[")
    with pytest.raises(CheckpointError, match=MANIFEST):
        read_shards(tmp_path)
    with pytest.raises(ConfigError, match="longllama shards"):
        read_shards(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["positives", "locals.ends", "kinds", "repositories"])
def test_numbers_that_name_nothing_are_refused(tmp_path: Path, name: str) -> None:
    writer = ShardWriter(tmp_path, "train")
    writer.add(rows_of_tree())
    writer.flush()
    path = writer.paths[0]
    arrays = load_file(path)
    arrays[name] = np.full_like(arrays[name], 10_000_000)
    save_file(arrays, path, {"shard": '["parcel"]'})
    with pytest.raises(CheckpointError, match="cannot be read as a shard"):
        read_shard(path)
