// The view "Why this suggestion?"; what it says is decided in explain.ts.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import {
  heading,
  type Item,
  ownItem,
  type Reason,
  type Row,
  reasonItem,
  reasons,
  rows,
  shareOf,
  suggestionItem,
} from "./explain";
import { percent } from "./numbers";
import { plainMarkdown } from "./plainMarkdown";
import { EXPLAIN, type Explanation } from "./protocol";
import { uriOf } from "./workspace";

const LINE_END = 2 ** 31 - 1;
const VIEW = "longllama-code.sources";
const STALE = "longllama-stale";
const ICONS = { suggestion: "lightbulb", own: "chip" };
const SHOWN_MS = 5_000;

export class SourcesView implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Row>;
  private readonly parts: vscode.Disposable;
  private explanation: Explanation | null = null;
  private isStale = false;
  private nextPeeked = 0;

  constructor(private readonly connection: Connection) {
    this.view = vscode.window.createTreeView(VIEW, { treeDataProvider: this });
    this.parts = vscode.Disposable.from(
      this.view,
      this.changed,
      connection.onDidSuggest(() => this.noteSuggestion()),
      vscode.window.registerFileDecorationProvider({ provideFileDecoration: greyed }),
    );
  }

  /** Ask what is behind the last suggestion, and show it. */
  async explain(): Promise<void> {
    if (await this.ask()) await vscode.commands.executeCommand(`${VIEW}.focus`);
  }

  /** Show the strongest where the cursor is, in VS Code's own peek view; the next one after it. */
  async peek(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (this.explanation === null || this.isStale) await this.ask();
    const all = reasons(this.explanation);
    if (all.length === 0) await vscode.commands.executeCommand(`${VIEW}.focus`);
    const number = this.nextPeeked % Math.max(1, all.length);
    const reason = all[number];
    if (editor === undefined || reason === undefined) return;
    this.nextPeeked = number + 1;
    // With several places VS Code would begin at the one that is nearest to the cursor.
    const places = [new vscode.Location(uriOf(reason.path), rangeOf(reason))];
    const { uri } = editor.document;
    const command = "editor.action.peekLocations";
    await vscode.commands.executeCommand(command, uri, editor.selection.active, places, "peek");
    const share = shareOf(reason);
    const weighs = share === undefined ? "" : `, ${percent(share)}`;
    const said = `LongLLaMA: source ${number + 1} of ${all.length}${weighs}`;
    vscode.window.setStatusBarMessage(said, SHOWN_MS);
  }

  getChildren(row?: Row): Row[] {
    return row === undefined ? rows(this.explanation) : [];
  }

  async getTreeItem(row: Row): Promise<vscode.TreeItem> {
    const item = await this.itemOf(row);
    if (this.isStale) item.resourceUri = vscode.Uri.from({ scheme: STALE, path: "/" });
    return item;
  }

  dispose(): void {
    this.parts.dispose();
  }

  /** Whether the server answered. */
  private async ask(): Promise<boolean> {
    const id = this.connection.lastSuggestion;
    const params = id === undefined ? {} : { id };
    const explanation = await this.connection.ask<Explanation | null>(EXPLAIN, params);
    if (explanation === undefined) return false;
    this.explanation = explanation;
    this.isStale = false;
    this.nextPeeked = 0;
    this.refresh();
    return true;
  }

  /** Grey what is listed once another suggestion was made. */
  private noteSuggestion(): void {
    const isStale =
      this.explanation !== null && this.explanation.id !== this.connection.lastSuggestion;
    if (isStale === this.isStale) return;
    this.isStale = isStale;
    this.refresh();
  }

  private refresh(): void {
    this.view.message = heading(this.explanation, this.isStale);
    this.changed.fire(undefined);
  }

  private async itemOf(row: Row): Promise<vscode.TreeItem> {
    if (row.kind === "suggestion") return treeItem(suggestionItem(row.text), ICONS.suggestion);
    if (row.kind === "own") return treeItem(ownItem(row.share), ICONS.own);
    const { reason } = row;
    const uri = uriOf(reason.path);
    const icon = "reason" in reason ? "symbol-method" : "quote";
    const item = treeItem(reasonItem(reason, await textOf(uri)), icon);
    const options: vscode.TextDocumentShowOptions = { selection: rangeOf(reason) };
    item.command = { command: "vscode.open", title: "Open", arguments: [uri, options] };
    return item;
  }
}

function treeItem({ label, description, code, about }: Item, icon: string): vscode.TreeItem {
  const item = new vscode.TreeItem(label);
  item.description = description;
  item.tooltip = new vscode.MarkdownString(plainMarkdown(about));
  if (code !== "") item.tooltip.appendCodeblock(code);
  item.iconPath = new vscode.ThemeIcon(icon);
  return item;
}

function greyed(uri: vscode.Uri): vscode.FileDecoration | undefined {
  if (uri.scheme !== STALE) return undefined;
  const tooltip = "of an earlier suggestion";
  return { color: new vscode.ThemeColor("disabledForeground"), tooltip };
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
