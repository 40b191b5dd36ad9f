"""Which files are near: imports in many languages, then folders."""

from pathlib import Path, PurePosixPath

import pytest

from lsp_server.indexing.proximity import MAX_STEPS, Proximity, imports

ROOT = Path("/ws")
CHAIN = {
    "one.py": "from two import a\n",
    "two/__init__.py": "from .three import a\n",
    "two/three.py": "from four import b\n",
    "four.py": "x = 1\n",
    "five.py": "import four\n",
}


@pytest.mark.parametrize(
    ("line", "file", "other"),
    [
        ("import harbour.dues", "harbour/dues.py", "harbour/pilots.py"),
        ("from harbour.dues import fee", "harbour/dues.py", "harbour/pilots.py"),
        ("from harbour import dues, berths as b", "harbour/berths.py", "harbour/pilots.py"),
        ("from harbour import dues", "harbour/__init__.py", "harbour/pilots.py"),
        ("from .dues import fee", "harbour/dues.py", "harbour/pilots.py"),
        ("    from .. import dues", "dues.py", "pilots.py"),
        ("import { fee } from './dues'", "web/dues.ts", "web/pilots.ts"),
        ("import { fee } from './dues'", "web/dues.d.ts", "web/dues.test.ts"),
        ("import harbour", "harbour/__init__.py", "docs/harbour.dues.rst"),
        ("import fee from '../shared/dues.js'", "shared/dues.js", "web/dues.js"),
        ("export * from './dues'", "web/dues/index.ts", "web/index.ts"),
        ("const fee = require('./lib/dues')", "web/lib/dues.js", "web/lib/pilots.js"),
        ("const fee = await import('./dues')", "web/dues.ts", "web/pilots.ts"),
        ('#include "harbour/dues.h"', "include/harbour/dues.h", "include/harbour/pilots.h"),
        ("#include <harbour/dues.hpp>", "include/harbour/dues.hpp", "include/pier/dues.hpp"),
        ('import "example.com/harbour/dues"', "pier/harbour/dues/main.go", "pier/main.go"),
        ('import (\n\t"example.com/dues"\n)', "example.com/dues/lib.go", "pilots/lib.go"),
        ("use crate::harbour::dues;", "crate/harbour/dues.rs", "crate/harbour/pilots.rs"),
        ("use harbour::dues::Fee;", "harbour/dues.rs", "harbour/pilots.rs"),
        ("mod dues;", "src/dues.rs", "src/pilots.rs"),
        ("import pier.harbour.Dues;", "src/pier/harbour/Dues.java", "src/pier/harbour/Tide.java"),
        ("using Harbour.Dues;", "Harbour/Dues.cs", "Harbour/Pilots.cs"),
        ("require_relative 'harbour/dues'", "lib/harbour/dues.rb", "lib/harbour/pilots.rb"),
        ('local dues = require("harbour.dues")', "lua/harbour/dues.lua", "lua/harbour/tide.lua"),
        ("@import 'dues';", "css/dues.scss", "css/pilots.scss"),
    ],
)
def test_what_is_imported_is_nearest(line: str, file: str, other: str) -> None:
    proximity = Proximity({ROOT / "open" / "here.x": f"# a comment\n{line}\nx = 1\n"})
    assert proximity.rank(ROOT / file)[0] == 0
    assert proximity.rank(ROOT / other)[0] == MAX_STEPS


@pytest.mark.parametrize(
    "text", ["", "x = 1\n", "important = dues\n", "froms = 'dues'\n", "from\n"]
)
def test_what_is_no_import(text: str) -> None:
    assert imports(text) == set()


def test_then_folders_count_to_the_nearest_open_file() -> None:
    proximity = Proximity({ROOT / "a/b/one.py": "", ROOT / "c/two.py": ""})
    steps = {
        "a/b/x.py": 0,
        "c/x.py": 0,
        "a/x.py": 1,
        "a/b/c/x.py": 1,
        "x.py": 1,
        "a/d/x.py": 2,
        "c/e/f/x.py": 2,
    }
    found = {name: proximity.rank(ROOT / PurePosixPath(name)) for name in steps}
    assert found == {name: (MAX_STEPS, n) for name, n in steps.items()}


def test_nothing_is_open() -> None:
    proximity = Proximity({})
    assert proximity.open == frozenset()
    assert proximity.rank(ROOT / "a.py") == proximity.rank(ROOT / "b/c/d.py") == (MAX_STEPS, 0)


def test_what_an_imported_file_imports_comes_next() -> None:
    files = {ROOT / name: text for name, text in CHAIN.items()}
    proximity = Proximity({ROOT / "here.py": "import one\n"}, files)
    assert [proximity.rank(path)[0] for path in files] == [0, 3, 3, 3, 3]
    for n_known in range(2, 4):
        followed = proximity.followed(files)
        steps = [*range(n_known), *[3] * (5 - n_known)]
        assert [followed.rank(path)[0] for path in files] == steps
        assert [proximity.rank(path)[0] for path in files] != steps
        proximity = followed
    # The last of these steps leads no further, and nothing leads to the other file.
    assert proximity.followed({path: files[path] for path in [*files][2:]}) is proximity


def test_the_next_is_known_from_the_file_before_it_alone() -> None:
    proximity = Proximity({ROOT / "here.py": "import one\n"}, [ROOT / "two.py"])
    assert proximity.followed({ROOT / "other.py": "import two\n"}) is proximity
    assert proximity.followed({ROOT / "one.py": "import two\n"}).rank(ROOT / "two.py") == (1, 0)
