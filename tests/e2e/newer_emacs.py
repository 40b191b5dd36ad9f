"""Emacs 30, from Debian's packages: eglot and what copilot.el needs come with it."""

import os

from tests.e2e.debian import command, unpacked

VERSION = "30.2"
NO_COMPILER = "(setq native-comp-enable-subr-trampolines nil native-comp-jit-compilation nil)"
"""It would start itself to compile, without the loader that runs it here."""


def newer_emacs() -> list[str]:
    """What runs it, with an environment of its own; skips where it cannot be had.

    It would look for its files where its package puts them.
    """
    root = unpacked("emacs-nox")
    shared = root / "usr" / "share" / "emacs" / VERSION
    programs = root / "usr" / "libexec" / "emacs" / VERSION / "x86_64-linux-gnu"
    (dump,) = programs.glob("*.pdmp")
    folders = [folder for folder, _, _ in os.walk(shared / "lisp")]
    environment = {
        "EMACSLOADPATH": os.pathsep.join(sorted(folders)),
        "EMACSDATA": shared / "etc",
        "EMACSDOC": shared / "etc",
        "EMACSPATH": programs,
    }
    variables = [f"{name}={value}" for name, value in environment.items()]
    program = command(root, "usr/bin/emacs-nox")
    return ["env", *variables, *program, f"--dump-file={dump}", "--eval", NO_COMPILER]
