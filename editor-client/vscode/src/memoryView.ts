// The view of memory; its tree is made in memory.ts.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import { type MemoryNode, tree } from "./memory";
import { plainMarkdown } from "./plainMarkdown";
import { MEMORY, type MemoryFile } from "./protocol";
import { isRunning } from "./status";
import { uriOf } from "./workspace";

const REFRESH_AFTER_MS = 500;

export class MemoryView implements vscode.TreeDataProvider<MemoryNode>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<MemoryNode>;
  private readonly listener: vscode.Disposable;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly connection: Connection) {
    const options = { treeDataProvider: this, showCollapseAll: true };
    this.view = vscode.window.createTreeView("longllama-code.memory", options);
    this.listener = connection.onDidChange(() => this.refreshSoon());
  }

  async getChildren(node?: MemoryNode): Promise<MemoryNode[]> {
    if (node !== undefined) return node.children;
    if (!isRunning(this.connection.condition)) return [];
    const memory = await this.connection.askQuietly<{ files: MemoryFile[] }>(MEMORY);
    return tree(memory?.files ?? []);
  }

  getTreeItem(node: MemoryNode): vscode.TreeItem {
    const { None, Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
    const state = node.icon === "folder" ? Collapsed : Expanded;
    const item = new vscode.TreeItem(node.label, node.children.length === 0 ? None : state);
    item.description = node.description;
    item.tooltip = new vscode.MarkdownString(plainMarkdown(node.tooltip));
    item.iconPath = new vscode.ThemeIcon(node.icon);
    if (node.path === undefined) return item;
    item.resourceUri = uriOf(node.path);
    item.command = { command: "vscode.open", title: "Open", arguments: [item.resourceUri] };
    return item;
  }

  dispose(): void {
    clearTimeout(this.timer);
    vscode.Disposable.from(this.view, this.listener, this.changed).dispose();
  }

  /** Status changes come in bursts; one look at memory serves them all. */
  private refreshSoon(): void {
    if (!this.view.visible) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.changed.fire(undefined);
    }, REFRESH_AFTER_MS);
  }
}
