"""Write the manifest of npm packages from tarballs that npm has packed, if they qualify.

The rules are those of ``choose_packages.py``. A package with built files only has no files that
count, and does not qualify.

Usage: npm pack NAME@VERSION --ignore-scripts --pack-destination FOLDER
       python tests/bench/choose_npm_packages.py FOLDER...
"""

import argparse
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from choose_packages import LIMITS, copied_from, fair_order, long_lines, objection_to, write

from longllama_code.errors import DownloadError
from longllama_code.model_sources.fetching import sha256_of
from longllama_code.research.datasets.npm_packages import NpmPackage, read_tarball
from longllama_code.research.datasets.sources import SourceTree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    tarballs = [path for f in parser.parse_args().folders for path in sorted(f.rglob("*.tgz"))]
    write("training_npm", sorted(choose(tarballs), key=fair_order))


def choose(tarballs: list[Path]) -> Iterator[NpmPackage]:
    """Yield the packages that qualify; says of each other one why it does not."""
    known = set[int]()
    for tarball in tarballs:
        try:
            package, tree = describe(tarball)
        except DownloadError as error:
            print(error)
            continue
        lines = long_lines(tree)
        limits = LIMITS["training"]
        if objection := objection_to(package, limits) or copied_from(lines, known, limits):
            print(f"{package.name} {package.version}: {objection}")
        else:
            known |= lines
            yield package


def describe(tarball: Path) -> tuple[NpmPackage, SourceTree]:
    metadata = package_json(tarball)
    tree = read_tarball(tarball, metadata["name"])
    package = NpmPackage(
        name=metadata["name"],
        version=metadata["version"],
        tarball=tarball.name,
        sha256=sha256_of(tarball),
        licence=licence(metadata),
        suffixes=tuple(sorted({PurePosixPath(path).suffix for path in tree.texts})),
        n_files=len(tree.texts),
        n_chars=sum(map(len, tree.texts.values())),
    )
    return package, tree


def package_json(tarball: Path) -> dict[str, Any]:
    with tarfile.open(tarball) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            is_manifest = path.name == "package.json" and len(path.parts) == 2
            if is_manifest and (file := archive.extractfile(member)):
                return json.load(file)
    raise DownloadError(f"{tarball.name} has no package.json: it is no npm package")


def licence(metadata: dict[str, Any]) -> str:
    """Return the SPDX expression, or what older packages have in its place."""
    stated = metadata.get("license") or metadata.get("licenses") or ""
    several = stated if isinstance(stated, list) else [stated]
    return " AND ".join(str(one["type"] if isinstance(one, dict) else one) for one in several)


if __name__ == "__main__":
    main()
