// What is asked before memory or disk is cleared, and what is said afterwards. Knows no editor.

import { bytes } from "./numbers";
import type { ClearedStore } from "./protocol";

export interface Question {
  message: string;
  /** In small print. */
  detail: string;
  /** Buttons; the first one is chosen by Enter. */
  answers: string[];
}

export const AND_READ = "Clear and Read Again";
export const AND_PAUSE = "Clear and Pause";

export const CLEAR_MEMORY: Question = {
  message: "Empty the memory of this window?",
  detail:
    "Until the repository is read again, suggestions come from the open files alone. What is " +
    "stored on disk stays, so that reading again is quick.",
  answers: [AND_READ, AND_PAUSE],
};

export const CLEAR_STORE: Question = {
  message: "Remove what is stored on disk of the repositories that you have opened?",
  detail:
    "The memory of this window is emptied as well. The repositories must then be read from the " +
    "beginning, which can take minutes. The model and your files stay.",
  answers: ["Remove"],
};

/** Said while nothing is read, with a button that reads. */
export const PAUSED = "The memory is empty, and reading is paused.";

export function removed({ n_bytes: gone, kept_bytes: kept, problem }: ClearedStore): string {
  if (problem) return `Nothing was removed: ${problem}.`;
  const left =
    kept > 0 ? `${bytes(kept)} that other windows use stay.` : "Nothing is stored any more.";
  return `${bytes(gone)} were removed. ${left} ${PAUSED}`;
}
