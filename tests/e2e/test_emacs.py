"""The Emacs client in a real Emacs with eglot, without a screen."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "editor-client" / "emacs"

SCRIPT = r"""
(require 'package)
(package-initialize)
(add-to-list 'load-path {client})
(require 'longllama)
(require 'json)
(setq eglot-sync-connect t eglot-connect-timeout 60 make-backup-files nil
      longllama-command {command}
      eglot-workspace-configuration {settings})
(find-file {file})
(defun wait (done)
  (let ((deadline (+ (float-time) 60)))
    (while (and (not (funcall done)) (< (float-time) deadline)) (accept-process-output nil 0.1))))
(apply #'eglot (append (eglot--guess-contact) (when (version<= "29.1" emacs-version) '(t))))
(longllama-mode 1)
(let ((server (eglot-current-server)) shown bound)
  (jsonrpc-request server :longllama/waitUntilIndexed nil :timeout 60)
  (goto-char (point-max))
  (insert "    ")
  (longllama-suggest)
  (wait #'longllama-shown)
  (setq shown (longllama-shown) bound (eq (key-binding (kbd "TAB")) 'longllama-accept))
  (longllama-accept)
  (basic-save-buffer)
  (princ (json-encode `((shown . ,shown) (tab . ,bound) (left . ,(longllama-shown)))))
  (eglot-shutdown server))
"""


def emacs_with_eglot() -> str:
    """Emacs; skips where it or eglot is missing."""
    emacs = shutil.which("emacs")
    looks_for_eglot = ["--batch", "--funcall", "package-initialize", "--eval", "(require 'eglot)"]
    if emacs is None or subprocess.run([emacs, *looks_for_eglot], capture_output=True).returncode:
        pytest.skip("no Emacs with eglot; on Debian: apt-get install emacs-nox elpa-eglot")
    return emacs


def quoted(value: object) -> str:
    """A text as Emacs Lisp reads it."""
    return json.dumps(str(value))


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    emacs = emacs_with_eglot()
    file = tmp_path / "ws" / "a.py"
    file.parent.mkdir()
    file.write_text("def f(x):\n")
    command = f'(list {quoted(sys.executable)} "-m" "lsp_server")'
    model = ':model (:path "tiny") :engine (:idleMs 0)'
    settings = f"'(:longllama ({model} :memory (:cacheDir {{cache}})))"
    script = tmp_path / "script.el"
    script.write_text(
        SCRIPT.format(
            client=quoted(CLIENT),
            command=command,
            settings=settings.format(cache=quoted(tmp_path / "cache")),
            file=quoted(file),
        )
    )
    run = subprocess.run(
        [emacs, "--batch", "--load", str(script)],
        capture_output=True,
        timeout=150,
        check=False,
        text=True,
    )
    result = json.loads(run.stdout or "{}")
    assert result, run.stderr
    assert result["shown"]
    assert result["tab"]
    assert result["left"] is None
    assert file.read_text() == f"def f(x):\n    {result['shown']}\n"
