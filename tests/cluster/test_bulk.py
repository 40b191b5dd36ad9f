"""Bulk encoding makes the store that one machine makes, whatever happens to the workers."""

import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from longllama_code.cluster.bulk import BulkEncoder
from longllama_code.cluster.encoding import ModelPlace, facts_of
from longllama_code.cluster.index import open_store
from longllama_code.cluster.ray_workers import RayWorkers
from longllama_code.cluster.revisions import checked_out
from longllama_code.cluster.shared_store import SharedStore
from longllama_code.commands.cluster import source_files
from longllama_code.errors import ConfigError
from tests.git_commands import commit_all, git

from .conftest import N_CPUS, Cluster, repository_files
from .processes import title
from .stores import content, one_machine

PLACE = ModelPlace("tiny")


@pytest.fixture(scope="module")
def workers(cluster: Cluster) -> RayWorkers:
    return RayWorkers(cluster.ray, n_cpus=N_CPUS / 2)


def encoder(workers: RayWorkers, cache: Path, shared: Path | None = None) -> BulkEncoder:
    facts = facts_of(PLACE)
    there = None if shared is None else SharedStore(str(shared), facts.fingerprint)
    return BulkEncoder(workers, PLACE, facts, open_store(cache, facts), there)


def test_the_store_is_that_of_one_machine(workers: RayWorkers, tmp_path: Path) -> None:
    files = repository_files(24)
    files["twin.py"] = files["pkg0/module_000.py"]
    files["same.py"] = "".join(2 * [files["pkg1/module_001.py"]])  # repeats its own segments
    files["blank.py"] = "\n\n"
    one_machine("tiny", tmp_path / "one", files)
    bulk = encoder(workers, tmp_path / "many")
    snapshot = bulk.run("team/app", "r1", files.items())
    assert content(tmp_path / "many") == content(tmp_path / "one")
    assert [file.path for file in snapshot.files] == list(files)
    assert bulk.progress.n_encoded == len(snapshot.segment_ids)
    assert sum(file.n_tokens for file in snapshot.files) == bulk.progress.n_tokens


def test_a_second_run_encodes_nothing(workers: RayWorkers, tmp_path: Path) -> None:
    files = repository_files(6)
    encoder(workers, tmp_path / "a").run("team/app", "r1", files.items())
    before = content(tmp_path / "a")
    again = encoder(workers, tmp_path / "a")
    again.run("team/app", "r1", files.items())
    assert again.progress.n_encoded == 0
    assert content(tmp_path / "a") == before


class Interrupted(Exception):  # noqa: N818 - what happened
    pass


def test_a_run_that_ended_goes_on(workers: RayWorkers, tmp_path: Path) -> None:
    files = repository_files(60, seed=1)
    one_machine("tiny", tmp_path / "one", files)
    first = encoder(workers, tmp_path / "many")

    def interrupt(_: object) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        first.run("team/app", "r1", files.items(), interrupt)
    n_first = len(content(tmp_path / "many")[1])
    second = encoder(workers, tmp_path / "many")
    second.run("team/app", "r1", files.items())
    assert 0 < n_first < len(content(tmp_path / "one")[1])
    assert second.progress.n_encoded == len(content(tmp_path / "one")[1]) - n_first
    assert content(tmp_path / "many") == content(tmp_path / "one")


def test_workers_that_are_killed_are_replaced(workers: RayWorkers, tmp_path: Path) -> None:
    files = repository_files(90, seed=2)
    one_machine("tiny", tmp_path / "one", files)
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set() and len(killed) < 2:
            for process in psutil.Process().children(recursive=True):
                if title(process) == "ray::encode_segments" and process.pid not in killed:
                    process.send_signal(signal.SIGKILL)
                    killed.append(process.pid)
                    time.sleep(0.3)
                    break

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        encoder(workers, tmp_path / "many").run("team/app", "r1", files.items())
    finally:
        over.set()
        killer.join()
    assert killed, "there was nothing to kill"
    assert content(tmp_path / "many") == content(tmp_path / "one")


def test_a_commit_is_encoded_once_for_everybody(workers: RayWorkers, tmp_path: Path) -> None:
    files, shared = repository_files(8, seed=3), tmp_path / "shared"
    encoder(workers, tmp_path / "a", shared).run("team/app", "r1", files.items())
    elsewhere = encoder(workers, tmp_path / "b", shared)
    snapshot = elsewhere.run("team/app", "r1", files.items())
    assert elsewhere.progress.n_encoded == 0
    assert elsewhere.progress.n_loaded == len(snapshot.segment_ids)
    assert content(tmp_path / "b") == content(tmp_path / "a")
    path = "pkg0/module_000.py"
    files[path] = files[path].replace("+= 0\n", "+= 9\n")  # one of its segments
    changed = encoder(workers, tmp_path / "b", shared)
    changed.run("team/app", "r2", files.items())
    assert changed.progress.n_encoded == 1
    store = SharedStore(str(shared), facts_of(PLACE).fingerprint)
    assert store.latest("team/app") == "r2"
    first = store.snapshot("team/app", "r1")
    assert first is not None
    assert store.missing(first.segment_ids) == []


# Where the files come from.


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "a.py").write_text("x = 1\n")
    (folder / ".env").write_text("PASSWORD=hunter2\n")
    (folder / "crlf.py").write_bytes(b"y = 1\r\n")
    commit_all(folder)
    (folder / "a.py").write_text("x = 2\n")
    commit_all(folder)
    (folder / "a.py").write_text("x = 3  # not committed\n")
    (folder / "new.py").write_text("z = 1\n")
    return folder


def test_a_revision_is_what_was_committed(repository: Path) -> None:
    with checked_out(str(repository)) as checkout:
        assert checkout.name == "app"
        assert checkout.revision == git(repository, "rev-parse", "HEAD")
        found = dict(source_files(checkout.folder))
    assert found == {"a.py": "x = 2\n", "crlf.py": "y = 1\n"}
    with checked_out(str(repository), "main~1") as checkout:
        assert dict(source_files(checkout.folder))["a.py"] == "x = 1\n"
    assert git(repository, "status", "--short") == "M a.py\n?? new.py"


def test_a_repository_is_fetched_from_its_url(repository: Path) -> None:
    with checked_out(f"file://{repository}", "main") as checkout:
        assert checkout.revision == git(repository, "rev-parse", "HEAD")
        assert dict(source_files(checkout.folder))["a.py"] == "x = 2\n"
        assert checkout.name == "app"


def test_a_folder_without_git_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    with checked_out(str(tmp_path)) as checkout:
        assert (checkout.folder, checkout.revision) == (tmp_path, "")
    with (
        pytest.raises(ConfigError, match="no git repository"),
        checked_out(str(tmp_path), "main"),
    ):
        pass


@pytest.mark.parametrize("source", ["--upload-pack=touch x", "ext::sh -c true"])
def test_nothing_is_run(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="git fetch failed"), checked_out(source):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_revision_that_is_not_there_is_named(repository: Path) -> None:
    with pytest.raises(ConfigError, match="rev-parse failed"), checked_out(str(repository), "no"):
        pass
