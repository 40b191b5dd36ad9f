// Ghost text that comes after VS Code has stopped waiting for it. 750 ms after a key, VS Code cancels
// the request and opens IntelliSense's list; where the list has nothing to show, nothing would ever be
// shown, not even what the user asked for by a key of its own right after typing. The request is then
// kept, and its answer shown if the cursor is still there.

import * as vscode from "vscode";

type Answer = vscode.InlineCompletionItem[] | vscode.InlineCompletionList | null | undefined;
type Next = (
  document: vscode.TextDocument,
  position: vscode.Position,
  context: vscode.InlineCompletionContext,
  token: vscode.CancellationToken,
) => vscode.ProviderResult<Answer>;

/** Milliseconds from a request to the end of VS Code's patience: it began before, and ends late on a busy machine. */
const PATIENCE_ENDS_MS = [350, 1500] as const;
const TRIGGER = "editor.action.inlineSuggest.trigger";

interface Place {
  document: vscode.TextDocument;
  version: number;
  position: vscode.Position;
}

export class LateAnswers {
  private asking: vscode.CancellationTokenSource | undefined;
  private late: { place: Place; answer: Answer } | undefined;

  /** The answer of `next`; one that came late is given when VS Code asks at its place again. */
  async provide(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
    next: Next,
  ): Promise<Answer> {
    const place = { document, version: document.version, position };
    const late = this.takeLate(place, context);
    if (late !== undefined) return late;
    this.asking?.cancel();
    const source = new vscode.CancellationTokenSource();
    this.asking = source;
    const patience = new Patience(
      place,
      context.selectedCompletionInfo === undefined,
      token,
      source,
    );
    try {
      const answer = await next(document, position, context, source.token);
      if (patience.hasEnded && this.asking === source) this.show(place, answer);
      return answer;
    } finally {
      patience.dispose();
      source.dispose();
      if (this.asking === source) this.asking = undefined;
    }
  }

  private takeLate(place: Place, context: vscode.InlineCompletionContext): Answer {
    const late = this.late;
    this.late = undefined;
    const isAsked = context.selectedCompletionInfo === undefined && late !== undefined;
    return isAsked && isSame(late.place, place) ? late.answer : undefined;
  }

  private show(place: Place, answer: Answer): void {
    const items = Array.isArray(answer) ? answer : (answer?.items ?? []);
    if (items.length === 0 || !isCursorAt(place)) return;
    this.late = { place, answer };
    void vscode.commands.executeCommand(TRIGGER, { explicit: false });
  }
}

/** Whether VS Code's patience with a request has ended, and not the user's interest in it. */
class Patience {
  hasEnded = false;
  private readonly began = Date.now();
  private readonly listener: vscode.Disposable;

  constructor(
    place: Place,
    isAlone: boolean,
    token: vscode.CancellationToken,
    source: vscode.CancellationTokenSource,
  ) {
    this.listener = token.onCancellationRequested(() => {
      const waited = Date.now() - this.began;
      const isThen = waited >= PATIENCE_ENDS_MS[0] && waited <= PATIENCE_ENDS_MS[1];
      this.hasEnded = isThen && isAlone && isCursorAt(place);
      if (!this.hasEnded) source.cancel();
    });
  }

  dispose(): void {
    this.listener.dispose();
  }
}

function isSame(one: Place, other: Place): boolean {
  const isPosition = one.position.isEqual(other.position);
  return one.document === other.document && one.version === other.version && isPosition;
}

function isCursorAt({ document, version, position }: Place): boolean {
  const editor = vscode.window.activeTextEditor;
  const isThere = editor?.document === document && editor.selection.active.isEqual(position);
  return isThere && document.version === version;
}
