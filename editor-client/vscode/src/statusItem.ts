// The item in the status bar; what it says is decided in status.ts.

import * as vscode from "vscode";
import type { Languages } from "./languages";
import { type Condition, present } from "./status";

const COLOURS = {
  none: undefined,
  warning: new vscode.ThemeColor("statusBarItem.warningBackground"),
  error: new vscode.ThemeColor("statusBarItem.errorBackground"),
};

export function createStatusItem(): vscode.StatusBarItem {
  const id = "longllama-code.status";
  const item = vscode.window.createStatusBarItem(id, vscode.StatusBarAlignment.Right, 100);
  item.name = "LongLLaMA";
  item.command = "longllama-code.menu";
  item.show();
  return item;
}

export function showCondition(item: vscode.StatusBarItem, condition: Condition): void {
  const { text, detail, severity } = present(condition, currentLanguage(), enabledLanguages());
  item.text = text;
  item.tooltip = new vscode.MarkdownString(detail);
  item.accessibilityInformation = { label: `LongLLaMA, ${detail}`, role: "button" };
  item.backgroundColor = COLOURS[severity];
}

export function currentLanguage(): string | undefined {
  return vscode.window.activeTextEditor?.document.languageId;
}

export function enabledLanguages(): Languages {
  return vscode.workspace.getConfiguration("longllama").get<Languages>("enableLanguages", {});
}
