// The notice of settings that are not used: once, whole, with a way to the setting, and gone once
// all are mended. Until then the status bar says so, too.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import { IgnoredSettings } from "./ignoredSettings";
import { sentence } from "./numbers";
import type { IgnoredSetting } from "./protocol";
import { openSettings } from "./settings";
import { ignoredSettings, isRunning } from "./status";

const OPEN = "Open Settings";

export function tellIgnoredSettings(connection: Connection): vscode.Disposable {
  const ignored = new IgnoredSettings();
  let nShown = 0;
  const tell = async (settings: IgnoredSetting[]) => {
    const text = settings.map(({ message }) => sentence(message)).join(" ");
    nShown++;
    const choice = await vscode.window.showWarningMessage(`LongLLaMA: ${text}`, OPEN);
    nShown--;
    if (choice === OPEN) await openSettings(settings[0]?.key);
  };
  return connection.onDidChange((condition) => {
    if (!isRunning(condition)) return;
    const { news, areMended } = ignored.note(ignoredSettings(condition));
    if (news.length > 0) void tell(news);
    // An extension cannot close its notice; hidden, it stays in the list of notifications alone.
    if (areMended && nShown > 0) void vscode.commands.executeCommand("notifications.hideToasts");
  });
}
