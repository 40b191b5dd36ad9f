// Progress of reading the repository stands in our own status bar item; a second indicator beside
// it would tell of the same. Knows no editor.

type Token = number | string;
type Progress = { kind: "begin"; title: string } | { kind: "report" } | { kind: "end" };

const OF_READING = /^(indexing|reading)\b/i;

export class OneIndicator {
  private readonly hidden = new Set<Token>();

  /** Whether a message of the server's progress bars is to be shown. */
  shows(token: Token, progress: Progress): boolean {
    if (progress.kind === "begin" && OF_READING.test(progress.title)) this.hidden.add(token);
    const isHidden = this.hidden.has(token);
    if (progress.kind === "end") this.hidden.delete(token);
    return !isHidden;
  }
}
