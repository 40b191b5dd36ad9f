"""Paths in URIs of any scheme."""

from pathlib import PurePosixPath
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.documents.uri_paths import last_name, names_other_machine, paths_in


@pytest.mark.parametrize(
    ("uri", "paths"),
    [
        ("file:///ws/a%20b.py", ("/ws/a b.py",)),
        ("file://localhost/ws/a.py", ("/ws/a.py",)),
        ("file:///c%3A/ws/a.py", ("c:/ws/a.py",)),
        ("vscode-remote://ssh-remote+host/home/me/.aws/config", ("/home/me/.aws/config",)),
        ("git:/ws/server.pem?q", ("/ws/server.pem",)),
        (
            'git:/ws/server.pem.git?{"path":"/ws/server.pem","ref":"~"}',
            ("/ws/server.pem.git", "/ws/server.pem"),
        ),
        (
            "git:/ws/a.py.git?%7B%22path%22%3A%22c%3A%5C%5Cws%5C%5C.env%22%7D",
            ("/ws/a.py.git", "c:/ws/.env"),
        ),
        ("gitfs:/x?file=file%3A%2F%2F%2Fws%2F.env&ref=a", ("/x", "/ws/.env")),
        ("vscode-notebook-cell:/ws/secrets.json#W0sZmlsZQ", ("/ws/secrets.json",)),
        ("fugitive:///ws/.git//0/gen/a.py", ("/ws/.git/0/gen/a.py", "/ws/gen/a.py")),
        ("gitsigns:///ws/.git//HEAD:gen/a.py", ("/ws/.git/HEAD:gen/a.py", "/ws/gen/a.py")),
        ("gitsigns:///ws/.git/:0:a%25.py", ("/ws/.git/:0:a%.py", "/ws/a%.py")),
        ("file:///ws/.git/hooks/a.py", ("/ws/.git/hooks/a.py",)),
        ("untitled:Untitled-1", ("Untitled-1",)),
        ("untitled:C:\\Users\\me\\.aws\\config", ("C:/Users/me/.aws/config",)),
        ("jar:file:///lib.jar!/server.pem", ("file:/lib.jar!/server.pem",)),
        ("file:///ws/sub/../.env", ("/ws/.env",)),
        ("file:////ws//a.py", ("/ws/a.py",)),
        ("plain/a.py", ("plain/a.py",)),
        ("c:\\ws\\a.py", ("c:/ws/a.py",)),
        ("", ()),
        ("file://", ("/",)),
        ("xy:?[[[/", ("[[[",)),
    ],
)
def test_paths(uri, paths):
    assert paths_in(uri) == paths


pieces = st.sampled_from(
    ["git:", "/ws", "/.git/", "%2e", "%", "?", "#", '{"a":"/', '"}', "\ud83d", ":"]
)


@given(st.text(max_size=60) | st.lists(pieces, max_size=12).map("".join))
def test_any_text_has_plain_paths(uri):
    for path in paths_in(uri):
        assert "\\" not in path
        assert ".." not in PurePosixPath(path).parts[1:] or not path.startswith("/")
    last_name(uri)
    names_other_machine(uri)


names = st.text("ab .#?%é", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))


@given(
    st.sampled_from(["file://", "vscode-remote://host", "git:", "untitled:", "odd+x.y-z:"]),
    st.lists(names, min_size=1, max_size=4),
    st.sampled_from(["", "?q", "#W0s", "?q#f"]),
)
def test_the_path_does_not_depend_on_the_scheme(start, parts, end):
    path = "/" + "/".join(parts)
    assert paths_in(start + quote(path) + end)[0] == path


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("untitled:Untitled-1", "Untitled-1"),
        ("vscode-notebook-cell:/ws/n.ipynb#W0", "n.ipynb#W0"),
        ('git:/ws/a.py?{"path":"/ws/a.py"}', "a.py"),
        ("", ""),
    ],
)
def test_names_of_documents_without_a_file(uri, name):
    assert last_name(uri) == name


def test_which_paths_may_be_of_this_machine():
    assert not names_other_machine("git:/ws/a.py")
    assert not names_other_machine("file://localhost/ws/a.py")
    assert names_other_machine("vscode-remote://host/ws/a.py")
