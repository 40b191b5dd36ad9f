"""Writes a manifest of packages: wheels that pip has fetched, less those that do not qualify.

A package qualifies with a permissive licence, a pure-Python wheel and sources of a useful size that
are no copy of another one's. For evaluation pip is asked, too, that the index had no wheel of it
before 2025-03: whatever the embedded model was trained on does not hold it. Training takes nothing
that shares its lines with an evaluation package, so write that manifest first. A manifest's order
is fixed, but not alphabetical: its first N packages are a fair sample.

Usage: pip download --no-deps --only-binary=:all: -d FOLDER NAME...
       python tests/bench/choose_packages.py {evaluation,training} FOLDER...
"""

import argparse
import email.message
import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from longllama_code.catalog import pip_download
from longllama_code.errors import DownloadError
from longllama_code.training.packages import DATA, Package, Which, load_packages, read_wheel
from longllama_code.training.sources import SourceTree

RELEASED_SINCE = "2025-03-01"
PURE = re.compile(r"-(py2\.)?py3-none-any\.whl$")
PERMISSIVE = re.compile(
    r"\b(0BSD|Apache|BSD|CC0|HPND|ISC|MIT|PSF|Python Software Foundation|Python-2\.0"
    r"|Public Domain|Unlicense|Zlib|ZPL|Zope)\b",
    re.IGNORECASE,
)
RESTRICTIVE = re.compile(
    r"GPL|GNU|MPL|Mozilla|EPL|Eclipse|EUPL|CC-BY|Commons Attribution|Proprietary|Elastic|BUSL",
    re.IGNORECASE,
)
# What this project's own evaluations read: nothing that we tune may have seen it.
OWN_TEST_MATERIAL = frozenset(
    {"cattrs", "import-linter", "peft", "poethepoet", "pygls", "transformers", "watchdog"}
)
LONG_LINE = 40
"""A shorter line, such as a lone ``return None``, says nothing about where it comes from."""


@dataclass(frozen=True)
class Limits:
    """What a package must keep to.

    Attributes:
        files: at least so many files.
        chars: at least and at most so many characters.
        copied: at most this share of the long lines known from packages chosen before.
    """

    files: int
    chars: tuple[int, int]
    copied: float


LIMITS: dict[Which, Limits] = {
    "evaluation": Limits(files=12, chars=(140_000, 1_500_000), copied=0.1),
    "training": Limits(files=4, chars=(20_000, 6_000_000), copied=0.2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("which", choices=sorted(LIMITS))
    parser.add_argument("folders", nargs="+", type=Path)
    arguments = parser.parse_args()
    which: Which = arguments.which
    chosen = sorted(choose(which, arguments.folders), key=fair_order)
    lines = ",\n".join(json.dumps(entry(package)) for package in chosen)
    (DATA / f"{which}_packages.json").write_text(f"[\n{lines}\n]\n", "utf-8")
    chars = sum(package.n_chars for package in chosen)
    print(f"{which}: {len(chosen)} packages, {chars:,} characters")


def choose(which: Which, folders: list[Path]) -> Iterator[Package]:
    """The packages that qualify; says of each other one why it does not."""
    known = set[int]()
    if which == "training":
        tabu = evaluation_lines(folders)
        excluded = OWN_TEST_MATERIAL | {package.name for package in load_packages("evaluation")}
    elif is_new("pip"):
        raise SystemExit("pip found no old release of itself: check the network, then try again")
    else:
        tabu, excluded = set[int](), OWN_TEST_MATERIAL
    for wheel in newest_wheels(folders):
        package, tree = describe(wheel)
        lines = long_lines(tree)
        objection = "reserved" if package.name in excluded else objection_to(package, which)
        if share(lines, known) > LIMITS[which].copied or share(lines, tabu) > 0.05:
            objection = objection or "a copy of another package"
        if which == "evaluation" and not objection:
            package = replace(package, released_since=RELEASED_SINCE)
            objection = "" if is_new(package.name) else f"released before {RELEASED_SINCE}"
        if objection:
            print(f"{package.name} {package.version}: {objection}")
        else:
            known |= lines
            yield package


def newest_wheels(folders: list[Path]) -> list[Path]:
    """The pure-Python wheels below some folders: of each package, the newest."""
    newest: dict[str, tuple[Version, Path]] = {}
    for wheel in sorted(path for folder in folders for path in folder.rglob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        found = (Version(version), wheel)
        if PURE.search(wheel.name):
            key = canonicalize_name(name)
            newest[key] = max(newest.get(key, found), found)
    return [wheel for _, wheel in newest.values()]


def describe(wheel: Path) -> tuple[Package, SourceTree]:
    with zipfile.ZipFile(wheel) as archive:
        # What a package vendors may have metadata of its own, further down.
        tops = (name for name in archive.namelist() if name.count("/") == 1)
        (member,) = (name for name in tops if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_string(archive.read(member).decode("utf-8", "replace"))
    name = canonicalize_name(metadata["Name"])
    tree = read_wheel(wheel, name)
    package = Package(
        name=name,
        version=metadata["Version"],
        wheel=wheel.name,
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        licence=licence(metadata),
        n_files=len(tree.texts),
        n_chars=sum(map(len, tree.texts.values())),
    )
    return package, tree


def licence(metadata: email.message.Message) -> str:
    """The SPDX expression, or else the classifiers, or else the first words of the text."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    classifiers = [str(line) for line in metadata.get_all("Classifier", [])]
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    stated = [name for name in names if name != "OSI Approved"]
    return " AND ".join(stated) or str(metadata["License"] or "").strip().partition("\n")[0][:60]


def objection_to(package: Package, which: Which) -> str:
    limits = LIMITS[which]
    if RESTRICTIVE.search(package.licence) or not PERMISSIVE.search(package.licence):
        return f"licence {package.licence!r}"
    if package.n_files < limits.files:
        return f"{package.n_files} files"
    smallest, largest = limits.chars
    return "" if smallest <= package.n_chars <= largest else f"{package.n_chars:,} characters"


def is_new(name: str) -> bool:
    """Whether the index had no wheel of any version before the day that counts.

    Raises:
        DownloadError: pip could not tell.
    """
    with tempfile.TemporaryDirectory() as scratch:
        options = ["--isolated", "--pre", "--ignore-requires-python"]
        options += ["--uploaded-prior-to", f"{RELEASED_SINCE}T00:00:00Z"]
        try:
            pip_download(name, Path(scratch), *options)
        except DownloadError as error:
            if "(from versions: none)" not in str(error):
                raise
            return True
    return False


def evaluation_lines(folders: list[Path]) -> set[int]:
    """The long lines of the evaluation packages, whose wheels are below the folders, too."""
    wanted = {package.wheel for package in load_packages("evaluation")}
    wheels = {path.name: path for folder in folders for path in folder.rglob("*.whl")}
    if missing := wanted - set(wheels):
        raise SystemExit(f"name a folder with {', '.join(sorted(missing))}, too")
    return set[int]().union(*(long_lines(read_wheel(wheels[n], n)) for n in wanted))


def long_lines(tree: SourceTree) -> set[int]:
    texts = tree.texts.values()
    lines = (line.strip() for text in texts for line in text.splitlines())
    return {hash(line) for line in lines if len(line) >= LONG_LINE}


def share(lines: set[int], among: set[int]) -> float:
    return len(lines & among) / max(1, len(lines))


def fair_order(package: Package) -> str:
    return hashlib.sha256(package.name.encode()).hexdigest()


def entry(package: Package) -> dict[str, object]:
    """What the manifest holds: nothing that is empty."""
    return {key: value for key, value in asdict(package).items() if value != ""}


if __name__ == "__main__":
    main()
