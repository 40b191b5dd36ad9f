"""Editors newer than the machine's, from Debian's packages, unpacked in our cache folder.

Nothing is installed in the system: apt fetches a package of another release with all that it
depends on, down to its C library, through the mirror that this machine uses; its programs are run
by the loader that came with them. Each package is fetched once.
"""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from longllama_code.paths import cache_root

RELEASE = "forky"
"""The release of Debian that has Neovim 0.12, Helix 25.07 and lsp-mode 10."""
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIBRARIES = Path("usr", "lib", "x86_64-linux-gnu")
LOADER = Path("usr", "lib64", "ld-linux-x86-64.so.2")
TIMEOUT_S = 300


def unpacked(package: str) -> Path:
    """The root folder of a package and of what it needs; skips the test where it cannot be had."""
    if shutil.which("apt-get") is None or platform.machine() != "x86_64" or not KEYS.is_file():
        pytest.skip(f"{package} is taken from Debian's packages, on Debian on x86_64 alone")
    root = cache_root() / "editors"
    root.mkdir(exist_ok=True)
    folder = root / f"{package}-{RELEASE}"
    with FileLock(root / "install.lock"):
        if not folder.is_dir():
            try:
                _fill(folder, package)
            except (LookupError, subprocess.SubprocessError) as error:
                said = (getattr(error, "stderr", None) or str(error)).strip()[-300:]
                pytest.skip(f"Debian's package {package} cannot be had here: {said}")
    return folder


def command(root: Path, program: str) -> list[str]:
    """What runs a program of an unpacked package, with its own C library."""
    return [str(root / LOADER), "--library-path", str(root / LIBRARIES), str(root / program)]


def _fill(folder: Path, package: str) -> None:
    """Unpack the package and what it needs; the folder appears whole or not at all.

    Raises:
        LookupError: apt knows no mirror of Debian.
        subprocess.SubprocessError: apt failed, or took too long.
    """
    scratch = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    apt = scratch / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True)
    (apt / "sources").write_text(f"deb [signed-by={KEYS}] {_mirror()} {RELEASE} main\n")
    # Of no package is it said that it is installed: apt then fetches all that this one needs.
    (apt / "status").touch()
    _apt(apt, "update")
    _apt(apt, "--download-only", "--no-install-recommends", "--yes", "install", package)
    for archive in sorted((apt / "cache" / "archives").glob("*.deb")):
        _run("dpkg-deb", "--extract", str(archive), str(scratch / "root"))
    (scratch / "root").rename(folder)
    shutil.rmtree(scratch)


def _apt(folder: Path, *arguments: str) -> None:
    """Run apt in a world of its own."""
    options = {
        "Dir::Etc::sourcelist": folder / "sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        # The folders are ours alone: apt's own user could not write there.
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "1",
        "Acquire::Languages": "none",
    }
    _run("apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items()), *arguments)


def _mirror() -> str:
    """The address from which this machine has its own release."""
    release = platform.freedesktop_os_release()
    name = release.get("VERSION_CODENAME", "")
    if release["ID"] != "debian":
        raise LookupError(f"this is {release['ID']}, not Debian")
    fields = ["--format", "$(RELEASE) $(REPO_URI)"]
    for line in _run("apt-get", "indextargets", *fields, "Created-By: Packages").splitlines():
        of, address = line.split()
        if of == name:
            return address
    raise LookupError("apt knows no packages; run apt-get update")


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return done.stdout
