// The view "Why this suggestion?"; what it says is decided in explain.ts.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import { definitionItem, heading, reasons, sourceItem } from "./explain";
import { type Definition, EXPLAIN, type Explanation, type Source } from "./protocol";
import { uriOf } from "./workspace";

const LINE_END = 2 ** 31 - 1;
const VIEW = "longllama-code.sources";

type Reason = Definition | Source;

export class SourcesView implements vscode.TreeDataProvider<Reason>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Reason>;
  private reasons: Reason[] = [];

  constructor(private readonly connection: Connection) {
    this.view = vscode.window.createTreeView(VIEW, { treeDataProvider: this });
  }

  /** Ask what is behind the last suggestion, and show it. */
  async explain(): Promise<void> {
    const id = this.connection.lastSuggestion;
    const params = id === undefined ? {} : { id };
    const explanation = await this.connection.ask<Explanation | null>(EXPLAIN, params);
    if (explanation === undefined) return;
    this.reasons = reasons(explanation);
    this.view.message = heading(explanation);
    this.changed.fire(undefined);
    await vscode.commands.executeCommand(`${VIEW}.focus`);
  }

  /** Show it where the cursor is, in VS Code's own peek view. */
  async peek(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (this.reasons.length === 0) await this.explain();
    if (editor === undefined || this.reasons.length === 0) return;
    const places = this.reasons.map((one) => new vscode.Location(uriOf(one.path), rangeOf(one)));
    const { uri } = editor.document;
    const command = "editor.action.peekLocations";
    await vscode.commands.executeCommand(command, uri, editor.selection.active, places, "peek");
  }

  getChildren(reason?: Reason): Reason[] {
    return reason === undefined ? this.reasons : [];
  }

  async getTreeItem(reason: Reason): Promise<vscode.TreeItem> {
    const uri = uriOf(reason.path);
    const isDefinition = "reason" in reason;
    const fileText = await textOf(uri);
    const { label, description, text } = isDefinition
      ? definitionItem(reason, fileText)
      : sourceItem(reason, fileText);
    const item = new vscode.TreeItem(label);
    item.description = description;
    item.tooltip = new vscode.MarkdownString().appendCodeblock(text);
    item.iconPath = new vscode.ThemeIcon(isDefinition ? "symbol-method" : "quote");
    const options: vscode.TextDocumentShowOptions = { selection: rangeOf(reason) };
    item.command = { command: "vscode.open", title: "Open", arguments: [uri, options] };
    return item;
  }

  dispose(): void {
    vscode.Disposable.from(this.view, this.changed).dispose();
  }
}

/** Whole lines; the server counts them from 1, VS Code from 0. */
function rangeOf(source: Reason): vscode.Range {
  return new vscode.Range(source.first_line - 1, 0, source.last_line - 1, LINE_END);
}

/** The live text of an open file, or what is on disk; undefined where it is gone by now. */
async function textOf(uri: vscode.Uri): Promise<string | undefined> {
  const open = vscode.workspace.textDocuments.find((one) => one.uri.toString() === uri.toString());
  if (open !== undefined) return open.getText();
  try {
    return new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
  } catch {
    return undefined;
  }
}
