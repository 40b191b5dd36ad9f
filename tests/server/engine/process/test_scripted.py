"""The engine whose answers stand in a file."""

import json
import subprocess
import sys

import pytest

from longllama_code.errors import Cancelled, ModelNotFound
from longllama_code.protocol import CompletionRequest, Source
from lsp_server.engine.process.scripted import ScriptedEngine
from tests.deadline import DEADLINE_S


@pytest.fixture
def scripted(tmp_path):
    """Makes engines of a script."""

    def make(**script):
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        return ScriptedEngine.open(f"script:{path}")

    return make


def remember(engine, path, text):
    """What remembering a file returns."""
    work = engine.remember(path, text)
    next(work)
    with pytest.raises(StopIteration) as stop:
        next(work)
    return stop.value.value


def complete(engine, prefix, path="a.py", **more):
    return engine.complete(CompletionRequest(path, prefix, "", **more), lambda: False)


def test_the_first_answer_that_fits_is_given(scripted):
    engine = scripted(
        answers=[
            {"path": "*.js", "text": "let"},
            {"before": r"f(o+)\(", "text": "1)"},
            {"before": "x = ", "path": "src/*", "text": "2"},
            {"before": "x = ", "text": "3"},
            {"before": r"\A((?s:.*)) twice", "text": r"\1\1"},
        ]
    )
    assert complete(engine, "a\nb twice").text == "a\nba\nb"
    assert complete(engine, "", "deep/er.js").text == "let"
    assert complete(engine, "a\nfoo(").text == "1)"
    assert complete(engine, "x = ", "src/deep/a.py").text == "2"
    assert complete(engine, "x = ").text == "3"
    nothing = complete(engine, "foo(x")
    assert (nothing.text, nothing.empty_reason) == ("", "nothing_to_add")


def test_a_request_for_several_has_alternatives(scripted):
    answer = {"before": r"f(o+)\(", "text": "1)", "alternatives": [r"\1)", "3)"]}
    engine = scripted(answers=[answer])
    assert complete(engine, "foo(").alternatives == []
    assert complete(engine, "foo(", n_candidates=2).alternatives == ["oo)"]
    assert complete(engine, "foo(", n_candidates=3).alternatives == ["oo)", "3)"]


def test_files_are_counted_by_their_bytes(scripted):
    engine = scripted()
    result = remember(engine, "a.py", "é = 1\n")
    assert (result.n_tokens, result.n_encoded, result.n_kept) == (7, 1, 0)
    assert remember(engine, "a.py", "é = 1\n").n_kept == 1
    remember(engine, "a.py", "x\n")
    remember(engine, "b.py", "xyz\n")
    status = engine.status()
    assert (status.n_files, status.n_tokens, status.encoded_segments) == (2, 6, 3)
    assert (engine.forget("a.py"), engine.forget("a.py")) == (True, False)
    assert engine.status().n_tokens == 4


def test_an_answer_from_a_file_needs_that_file(scripted):
    engine = scripted(
        answers=[{"text": "known", "source": "lib.py"}, {"text": "unknown", "before": "x"}]
    )
    assert complete(engine, "x").text == "unknown"
    remember(engine, "lib.py", "a\nb\n")
    result = complete(engine, "x")
    assert (result.text, result.sources) == ("known", [Source("lib.py", 1, 2, 1.0)])
    assert complete(engine, "x", uses_memory=False).text == "unknown"


def test_a_slow_answer_is_stopped_and_has_a_deadline(scripted):
    engine = scripted(answers=[{"text": "late", "delay_ms": 600_000}])
    with pytest.raises(Cancelled):
        engine.complete(CompletionRequest("a.py", "", ""), lambda: True)
    assert complete(engine, "", timeout_ms=1).empty_reason == "deadline"


def test_half_of_an_answer_is_told_before_the_rest(scripted):
    told = []
    engine = scripted(answers=[{"text": "one two", "delay_ms": 2}])
    request = CompletionRequest("a.py", "", "")
    assert engine.complete(request, lambda: False, told.append).text == "one two"
    assert told == ["one"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"),
        ("{", "Expecting"),
        ('{"answers": [{}]}', "text"),
        ('{"answers": [{"text": "x", "befor": "y"}]}', "befor"),
        ('{"answers": [{"text": "x", "before": "("}]}', "unterminated"),
        ('{"answers": [{"text": "\\\\1"}]}', "invalid group"),
    ],
)
def test_what_is_wrong_with_a_script_is_said(tmp_path, text, told):
    path = tmp_path / "script.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(
        ModelNotFound, match=r"script.json is not a valid script of answers"
    ) as caught:
        ScriptedEngine.open(f"script:{path}")
    assert told in str(caught.value)


def test_its_process_loads_no_torch(tmp_path):
    (tmp_path / "script.json").write_text("{}")
    code = (
        "import sys; from argparse import Namespace;"
        "from lsp_server.engine.process.serving import open_engine;"
        f"open_engine(Namespace(model='script:{tmp_path}/script.json'));"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")
