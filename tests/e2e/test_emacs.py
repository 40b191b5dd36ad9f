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
      longllama-command {command})
;; It becomes local to the buffer in which it is set: there, and not in the file's.
(setq-default eglot-workspace-configuration {settings})
(find-file {file})
(defun wait (done)
  (let ((deadline (+ (float-time) 60)))
    (while (and (not (funcall done)) (< (float-time) deadline)) (accept-process-output nil 0.1))))
(apply #'eglot (append (eglot--guess-contact) (when (version<= "29.1" emacs-version) '(t))))
(longllama-mode 1)
(let ((server (eglot-current-server)) said)
  (defun note (name value) (push (cons name value) said))
  (defun suggest ()
    (setq longllama-problem nil)
    (longllama-suggest)
    (wait (lambda () (or (longllama-shown) longllama-problem))))
  (defun key (keys) (symbol-name (or (key-binding (kbd keys)) 'none)))
  (jsonrpc-request server :longllama/waitUntilIndexed nil :timeout 60)
  (let ((status (jsonrpc-request server :longllama/status nil)))
    (note 'model (plist-get (plist-get status :engine) :model)))
  (goto-char (point-max))
  (suggest)
  (note 'nothing longllama-problem)
  (insert "    ")
  (suggest)
  (note 'shown (longllama-shown))
  (note 'problem longllama-problem)
  (note 'keys (mapcar #'key '("TAB" "M-f" "C-e")))
  (longllama-accept-word)
  (note 'after_word (longllama-shown))
  (longllama-accept-line)
  (note 'after_line (longllama-shown))
  (longllama-accept)
  (note 'left (longllama-shown))
  (note 'free (key "TAB"))
  (basic-save-buffer)
  (princ (json-encode said))
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
    text = "return x * 2\n    # and\n    # more"
    (tmp_path / "script.json").write_text(
        json.dumps({"answers": [{"path": "a.py", "before": "    ", "text": text}]})
    )
    model = f":model (:path {quoted(f'script:{tmp_path}/script.json')}) :engine (:idleMs 0)"
    settings = f"'(:longllama ({model}))"
    script = tmp_path / "script.el"
    script.write_text(
        SCRIPT.format(
            client=quoted(CLIENT),
            command=command,
            settings=settings,
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
    assert result["model"].startswith("script:")
    assert result["nothing"] == "nothing_to_add"
    assert result["shown"] == text, (result["problem"], run.stderr)
    assert result["keys"] == [f"longllama-accept{part}" for part in ("", "-word", "-line")]
    assert result["after_word"] == " x * 2\n    # and\n    # more"
    assert result["after_line"] == "\n    # and\n    # more"
    assert result["left"] is None
    assert not result["free"].startswith("longllama")
    assert file.read_text() == f"def f(x):\n    {text}\n"
