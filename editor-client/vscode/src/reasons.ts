// Why nothing was suggested, and what to do about it. Knows no editor.

import { words } from "./numbers";

const ASK = "to have one all the same, press Alt+\\";

const ADVICE: Record<string, string> = {
  not_open: "the editor asked about a file that is not open; close the file and open it again",
  out_of_step: "a change of this file was not understood; close the file and open it again",
  disabled: "suggestions are turned off; turn them on in the menu of the status bar",
  language_disabled:
    "suggestions are turned off for this language; turn them on in the menu of the status bar",
  glob_disabled: "this file matches a pattern of longllama.disabledGlobs; change that setting",
  secret_file: "the name of this file says that it holds secrets, so nothing is suggested in it",
  manual_mode: `longllama.trigger.mode is manual; ${ASK}, or set it to auto`,
  inside_line: `there is text behind the cursor on its line; ${ASK}, or raise longllama.trigger.maxLineSuffix`,
  inside_word: `the cursor is inside a word; ${ASK}, or turn longllama.trigger.insideWord on`,
  after_bracket: `the cursor is behind a closing bracket; ${ASK}, or turn longllama.trigger.afterClosingBracket on`,
  in_comment: "longllama.completion.disableInComments turns suggestions off in comments",
  snoozed: `suggestions are snoozed; ${ASK}, or end it in the menu of the status bar`,
  superseded: "you typed on, and a newer request took its place",
  shutting_down: "the server was shutting down",
  engine_stopped: "the model is not running; restart the server",
  engine_loading: "the model is being loaded; wait until the status bar no longer says so",
  engine_failed: "the model cannot be loaded; the status bar says why",
  engine_restarting: "the model's process ended and is started again; wait a moment",
  engine_error: "the model failed on this request; the log says why",
  repeats_line: "the model only repeated the text behind the cursor; type on",
  unknown_name:
    "the model wrote a name that does not exist there; type its first letters, or turn longllama.completion.existingNames off",
  nothing_to_add: "the model had nothing to add here; type on",
  deadline:
    "the model took too long; choose a smaller one, or raise longllama.completion.timeoutMs",
  unsure: `the model was not sure enough; ${ASK}, or set longllama.trigger.minConfidence below its own limit (coder: 60)`,
};

/** A reason code of the server as a sentence that says what to do; an unknown one in words. */
export function advice(code: string): string {
  return ADVICE[code] ?? words(code);
}
