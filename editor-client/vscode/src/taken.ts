// How much of a suggestion an edit takes: VS Code does not tell which part of one was accepted.
// Knows no editor.

/** One change of a document, as VS Code reports it. */
export interface Change {
  /** Where it begins, in UTF-16 code units from the start of the document. */
  rangeOffset: number;
  text: string;
}

/** A suggestion on the screen. */
export class Taken {
  private done = 0;

  constructor(
    readonly id: string,
    private readonly text: string,
    /** Where it begins in the document. */
    private readonly offset: number,
  ) {}

  /**
   * What is accepted of the text so far, if a change accepted a part; "over" where it ends the
   * suggestion, and undefined where it was typed. A key inserts one character, or a bracket with
   * the one that closes it; a word or a line that is accepted comes at once. The whole has a
   * command of its own.
   */
  take(changes: readonly Change[]): number | "over" | undefined {
    const [change] = changes;
    const place = this.offset + this.done;
    const isOne = changes.length === 1 && change?.rangeOffset === place;
    if (!isOne || !this.text.startsWith(change.text, this.done) || change.text === "")
      return "over";
    this.done += change.text.length;
    if (this.done >= this.text.length) return "over";
    return [...change.text].length > 1 ? this.done : undefined;
  }
}
