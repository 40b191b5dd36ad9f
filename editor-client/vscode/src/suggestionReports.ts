// What is told to the server of suggestions: which are shown, and which were accepted in part. It
// counts them on this machine; see docs/statistics.md.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import { DID_PARTIALLY_ACCEPT, DID_SHOW } from "./protocol";
import { Taken } from "./taken";

/** Milliseconds that VS Code needs to show an answer; what was typed meanwhile hides it. */
const SHOWN_AFTER_MS = 50;

export class SuggestionReports implements vscode.Disposable {
  private shown: { document: vscode.TextDocument; taken: Taken } | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly listener: vscode.Disposable;

  constructor(private readonly notify: Connection["notify"]) {
    this.listener = vscode.workspace.onDidChangeTextDocument((event) => this.changed(event));
  }

  /** VS Code was given a suggestion, which it shows if the cursor is where it was asked for. */
  answered(
    document: vscode.TextDocument,
    position: vscode.Position,
    item: vscode.InlineCompletionItem | undefined,
    token: vscode.CancellationToken,
  ): void {
    clearTimeout(this.timer);
    const id = item?.command?.arguments?.[0];
    if (item === undefined || typeof id !== "string") return;
    const { version } = document;
    this.timer = setTimeout(() => {
      const editor = vscode.window.activeTextEditor;
      const isThere = editor?.document === document && document.version === version;
      if (!isThere || token.isCancellationRequested) return;
      if (!editor.selection.active.isEqual(position)) return;
      const text = typeof item.insertText === "string" ? item.insertText : item.insertText.value;
      const start = document.offsetAt(item.range?.start ?? position);
      this.shown = { document, taken: new Taken(id, text, start) };
      this.notify(DID_SHOW, { id });
    }, SHOWN_AFTER_MS);
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.listener.dispose();
  }

  private changed({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    if (document !== this.shown?.document || contentChanges.length === 0) return;
    const { taken } = this.shown;
    const found = taken.take(contentChanges);
    if (found === "over") this.shown = undefined;
    else if (found !== undefined)
      this.notify(DID_PARTIALLY_ACCEPT, { id: taken.id, acceptedLength: found });
  }
}
