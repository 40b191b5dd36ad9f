// Where the cursor rests: the server reads the text there ahead of the first key.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import { DID_MOVE_CURSOR } from "./protocol";

/** Milliseconds without a move after which the server is told; it waits a while longer. */
const REST_MS = 150;
/** A move so soon after a change of the text is typing, which requests suggestions by itself. */
const TYPING_MS = 100;

/** Tells the server where the cursor is put without typing, once it has come to rest. */
export function tellOfCursor(connection: Connection): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  let changedAt = 0;
  let phase = connection.condition.phase;
  const tellSoon = (editor: vscode.TextEditor | undefined) => {
    clearTimeout(timer);
    if (editor === undefined || performance.now() - changedAt < TYPING_MS) return;
    timer = setTimeout(() => tell(connection, editor), REST_MS);
  };
  return vscode.Disposable.from(
    vscode.workspace.onDidChangeTextDocument(() => {
      clearTimeout(timer);
      changedAt = performance.now();
    }),
    vscode.window.onDidChangeTextEditorSelection((event) => tellSoon(event.textEditor)),
    vscode.window.onDidChangeActiveTextEditor(tellSoon),
    connection.onDidChange((condition) => {
      // What it was told before it was ready is lost.
      if (condition.phase === "ready" && phase !== "ready")
        tellSoon(vscode.window.activeTextEditor);
      phase = condition.phase;
    }),
    { dispose: () => clearTimeout(timer) },
  );
}

function tell(connection: Connection, editor: vscode.TextEditor): void {
  if (editor !== vscode.window.activeTextEditor || !editor.selection.isEmpty) return;
  const { line, character } = editor.selection.active;
  const uri = editor.document.uri.toString();
  connection.notify(DID_MOVE_CURSOR, { textDocument: { uri }, position: { line, character } });
}
