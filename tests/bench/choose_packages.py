"""Write a manifest of packages from wheels that pip has fetched, if they qualify.

A package qualifies with a permissive licence, a pure-Python wheel and sources of a useful size that
are no copy of another one's. For evaluation pip is asked, too, that the index had no release of it
before 2025-03: whatever the embedded model was trained on does not hold it. Neither manifest takes
what shares its lines with a package of the other, whichever was written first.

A manifest is only added to: what it holds stays first and pinned as it was, so that results stay
comparable. What is added comes in an order that is fixed, but not alphabetical: its first N
packages are a fair sample. The folders hold candidates and the wheels of both manifests.

Usage: pip download --no-deps --only-binary=:all: -d FOLDER NAME...
       python tests/bench/choose_packages.py {evaluation,training} FOLDER...
"""

import argparse
import email.message
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from longllama_code.model_sources.catalog import DATA
from longllama_code.model_sources.fetching import sha256_of
from longllama_code.research.datasets.npm_packages import NpmPackage
from longllama_code.research.datasets.packages import Package, Which, load_packages, read_wheel
from longllama_code.research.datasets.sources import SourceTree

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
OTHER: dict[Which, Which] = {"evaluation": "training", "training": "evaluation"}
LEAKED = 0.05
"""At most this share of a package's long lines may be found on the other manifest's side."""
LONG_LINE = 40
"""A shorter line, such as a lone ``return None``, says nothing about where it comes from."""

Release = Package | NpmPackage


@dataclass(frozen=True)
class Limits:
    """Limits of a package.

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=sorted(LIMITS))
    parser.add_argument("folders", nargs="+", type=Path)
    arguments = parser.parse_args()
    which: Which = arguments.which
    added = sorted(choose(which, arguments.folders), key=fair_order)
    write(which, [*load_packages(which), *added])


def write(which: str, chosen: Sequence[Release]) -> None:
    """Write a manifest, and say how large it is."""
    lines = ",\n".join(json.dumps(entry(package)) for package in chosen)
    (DATA / f"{which}_packages.json").write_text(f"[\n{lines}\n]\n", "utf-8")
    chars = sum(package.n_chars for package in chosen)
    print(f"{which}: {len(chosen)} packages, {chars:,} characters")


def choose(which: Which, folders: list[Path]) -> Iterator[Package]:
    """Yield the packages to add, which qualify; says of each other candidate why it does not."""
    if which == "evaluation" and is_new("pip"):
        raise SystemExit("pip finds no old release of itself: the index does not date its files")
    known = set[int]().union(*pinned_lines(which, folders))
    others = pinned_lines(OTHER[which], folders)
    for wheel in candidates(folders):
        package, tree = describe(wheel)
        lines = long_lines(tree)
        limits = LIMITS[which]
        objection = "reserved" if package.name in OWN_TEST_MATERIAL else ""
        objection = objection or objection_to(package, limits)
        objection = objection or copied_from(lines, known, limits)
        if leaks(lines, others):
            objection = objection or f"shares lines with {OTHER[which]} packages"
        if which == "evaluation" and not objection:
            package = replace(package, released_since=RELEASED_SINCE)
            objection = "" if is_new(package.name) else f"released before {RELEASED_SINCE}"
        if objection:
            print(f"{package.name} {package.version}: {objection}")
        else:
            known |= lines
            yield package


def candidates(folders: list[Path]) -> list[Path]:
    """Return the newest wheels of what neither manifest holds."""
    pinned = {package.name for which in LIMITS for package in load_packages(which)}
    return [wheel for name, wheel in newest_wheels(folders).items() if name not in pinned]


def newest_wheels(folders: list[Path]) -> dict[str, Path]:
    """The pure-Python wheels below some folders: of each package, by its name, the newest."""
    newest: dict[str, tuple[Version, Path]] = {}
    for wheel in sorted(path for folder in folders for path in folder.rglob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        found = (Version(version), wheel)
        if PURE.search(wheel.name):
            key = canonicalize_name(name)
            newest[key] = max(newest.get(key, found), found)
    return {name: wheel for name, (_, wheel) in newest.items()}


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
        sha256=sha256_of(wheel),
        licence=licence(metadata),
        n_files=len(tree.texts),
        n_chars=sum(map(len, tree.texts.values())),
    )
    return package, tree


def licence(metadata: email.message.Message) -> str:
    """Return the SPDX expression, or else the classifiers, or else the first words of the text."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    classifiers = [str(line) for line in metadata.get_all("Classifier", [])]
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    stated = [name for name in names if name != "OSI Approved"]
    return " AND ".join(stated) or str(metadata["License"] or "").strip().partition("\n")[0][:60]


def objection_to(package: Release, limits: Limits) -> str:
    if RESTRICTIVE.search(package.licence) or not PERMISSIVE.search(package.licence):
        return f"licence {package.licence!r}"
    if package.n_files < limits.files:
        return f"{package.n_files} files"
    smallest, largest = limits.chars
    return "" if smallest <= package.n_chars <= largest else f"{package.n_chars:,} characters"


def copied_from(lines: set[int], known: set[int], limits: Limits) -> str:
    return "a copy of another package" if share(lines, known) > limits.copied else ""


def is_new(name: str) -> bool:
    """Whether the index has a package, but no release of it from before the day that counts."""
    if not index_has(name):
        raise SystemExit(f"pip finds no {name}: check the network, then try again")
    return not index_has(name, "--uploaded-prior-to", f"{RELEASED_SINCE}T00:00:00Z")


def index_has(name: str, *options: str) -> bool:
    """Whether pip finds a release, as a wheel or else.

    Raises:
        RuntimeError: pip failed otherwise.
    """
    command = [sys.executable, "-m", "pip", "index", "versions", "--no-input", "--isolated"]
    command += ["--disable-pip-version-check", "--pre", "--ignore-requires-python", *options, name]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode and f"No matching distribution found for {name}" not in result.stderr:
        raise RuntimeError(result.stderr)
    return result.returncode == 0


def pinned_lines(which: Which, folders: list[Path]) -> list[set[int]]:
    """Return the long lines of each package of a manifest, whose wheels are below the folders."""
    packages = load_packages(which)
    wheels = {path.name: path for folder in folders for path in folder.rglob("*.whl")}
    if missing := {package.wheel for package in packages} - set(wheels):
        raise SystemExit(f"name a folder with {', '.join(sorted(missing))}, too")
    return [long_lines(read_wheel(wheels[package.wheel], package.name)) for package in packages]


def leaks(lines: set[int], others: list[set[int]]) -> bool:
    """Whether a package has too much of the others together, or one of them too much of it."""
    of_others = share(lines, set[int]().union(*others))
    return max([of_others, *(share(other, lines) for other in others)]) > LEAKED


def long_lines(tree: SourceTree) -> set[int]:
    texts = tree.texts.values()
    lines = (line.strip() for text in texts for line in text.splitlines())
    return {hash(line) for line in lines if len(line) >= LONG_LINE}


def share(lines: set[int], among: set[int]) -> float:
    return len(lines & among) / max(1, len(lines))


def fair_order(package: Release) -> str:
    return hashlib.sha256(package.name.encode()).hexdigest()


def entry(package: Release) -> dict[str, object]:
    """Return the manifest's entry of a package, without empty fields."""
    return {key: value for key, value in asdict(package).items() if value != ""}


if __name__ == "__main__":
    main()
