// The view "Why this suggestion?"; what it says is decided in explain.ts.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import { byMass, heading, sourceItem } from "./explain";
import { EXPLAIN, type Explanation, type Source } from "./protocol";
import { uriOf } from "./workspace";

const LINE_END = 2 ** 31 - 1;
const VIEW = "longllama-code.sources";

export class SourcesView implements vscode.TreeDataProvider<Source>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Source>;
  private sources: Source[] = [];

  constructor(private readonly connection: Connection) {
    this.view = vscode.window.createTreeView(VIEW, { treeDataProvider: this });
  }

  /** Ask for the sources of the last suggestion, and show them. */
  async explain(): Promise<void> {
    const id = this.connection.lastSuggestion;
    const params = id === undefined ? {} : { id };
    const explanation = await this.connection.ask<Explanation | null>(EXPLAIN, params);
    if (explanation === undefined) return;
    this.sources = byMass(explanation?.sources ?? []);
    this.view.message = heading(explanation);
    this.changed.fire(undefined);
    await vscode.commands.executeCommand(`${VIEW}.focus`);
  }

  /** Show the sources where the cursor is, in VS Code's own peek view. */
  async peek(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (this.sources.length === 0) await this.explain();
    if (editor === undefined || this.sources.length === 0) return;
    const places = this.sources.map((one) => new vscode.Location(uriOf(one.path), rangeOf(one)));
    const { uri } = editor.document;
    const command = "editor.action.peekLocations";
    await vscode.commands.executeCommand(command, uri, editor.selection.active, places, "peek");
  }

  getChildren(source?: Source): Source[] {
    return source === undefined ? this.sources : [];
  }

  async getTreeItem(source: Source): Promise<vscode.TreeItem> {
    const uri = uriOf(source.path);
    const { label, description, text } = sourceItem(source, await textOf(uri));
    const item = new vscode.TreeItem(label);
    item.description = description;
    item.tooltip = new vscode.MarkdownString().appendCodeblock(text);
    item.iconPath = new vscode.ThemeIcon("quote");
    const options: vscode.TextDocumentShowOptions = { selection: rangeOf(source) };
    item.command = { command: "vscode.open", title: "Open", arguments: [uri, options] };
    return item;
  }

  dispose(): void {
    vscode.Disposable.from(this.view, this.changed).dispose();
  }
}

/** Whole lines; the server counts them from 1, VS Code from 0. */
function rangeOf(source: Source): vscode.Range {
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
