// The view of statistics; its tree is made in statistics.ts.

import * as vscode from "vscode";
import { ask } from "./clearCommands";
import type { Connection } from "./connection";
import { CLEARED_STATISTICS, type Cleared, STATISTICS, type Statistics } from "./protocol";
import { CLEAR_STATISTICS, cleared, type StatisticsNode, statisticsTree } from "./statistics";
import { isRunning } from "./status";

const REFRESH_EVERY_MS = 5000;

export class StatisticsView implements vscode.TreeDataProvider<StatisticsNode>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<StatisticsNode>;
  private readonly listeners: vscode.Disposable[];
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly connection: Connection) {
    this.view = vscode.window.createTreeView("longllama-code.statistics", {
      treeDataProvider: this,
    });
    let phase = connection.condition.phase;
    this.listeners = [
      this.view.onDidChangeVisibility(() => this.refresh()),
      connection.onDidChange((condition) => {
        if (condition.phase !== phase) this.refresh();
        phase = condition.phase;
      }),
    ];
    this.timer = setInterval(() => this.refresh(), REFRESH_EVERY_MS);
  }

  async show(): Promise<void> {
    await vscode.commands.executeCommand("longllama-code.statistics.focus");
    this.refresh();
  }

  /** Remove what was counted, once the user has said so. */
  async clear(): Promise<void> {
    if ((await ask(CLEAR_STATISTICS)) === undefined) return;
    const answer = await this.connection.ask<Cleared>(CLEARED_STATISTICS);
    if (answer === undefined) return;
    void vscode.window.showInformationMessage(`LongLLaMA: ${cleared(answer)}`);
    this.refresh();
  }

  async getChildren(node?: StatisticsNode): Promise<StatisticsNode[]> {
    if (node !== undefined) return node.children;
    if (!isRunning(this.connection.condition)) return [];
    const found = await this.connection.askQuietly<Statistics>(STATISTICS);
    return found === undefined ? [] : statisticsTree(found);
  }

  getTreeItem(node: StatisticsNode): vscode.TreeItem {
    const { None, Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
    const isGroup = node.description === "";
    const state = isGroup ? Expanded : Collapsed;
    const item = new vscode.TreeItem(node.label, node.children.length === 0 ? None : state);
    item.description = node.description;
    item.iconPath = new vscode.ThemeIcon(node.icon);
    item.accessibilityInformation = {
      label: `${node.label} ${node.description.replace(/[█░]+/, "")}`,
    };
    return item;
  }

  dispose(): void {
    clearInterval(this.timer);
    vscode.Disposable.from(this.view, this.changed, ...this.listeners).dispose();
  }

  private refresh(): void {
    if (this.view.visible) this.changed.fire(undefined);
  }
}
