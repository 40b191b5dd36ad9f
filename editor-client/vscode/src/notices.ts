// Messages to the user whose buttons are remedies; which ones, is decided in remedies.ts.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import { inWords, type Remedy, remediesOf } from "./remedies";

export interface Notice {
  message: string;
  remedies: readonly Remedy[];
  severity?: "error" | "warning" | "information";
}

const { showErrorMessage, showWarningMessage, showInformationMessage } = vscode.window;
const SHOW = {
  error: showErrorMessage,
  warning: showWarningMessage,
  information: showInformationMessage,
};

/** Show a message, and run the remedy that is chosen. */
export async function offer({ message, remedies, severity = "error" }: Notice): Promise<void> {
  const labels = remedies.map((remedy) => remedy.label);
  const choice = await SHOW[severity](`LongLLaMA: ${message}`, ...labels);
  const remedy = remedies.find(({ label }) => label === choice);
  if (remedy !== undefined)
    await vscode.commands.executeCommand(`longllama-code.${remedy.command}`);
}

/** Tell of each failure of a server once, with what helps; again after it worked. */
export function tellFailures(connection: Connection, isOwn: () => boolean): vscode.Disposable {
  let told: string | undefined;
  return connection.onDidChange((condition) => {
    if (condition.phase === "starting") told = undefined; // who has tried again is told again
    const remedies = remediesOf(condition, isOwn());
    const message = remedies.length === 0 ? undefined : inWords(condition);
    // An installation that fails leaves what was told before.
    if (!["loading", "starting", "installing"].includes(condition.phase)) {
      if (message !== undefined && message !== told) void offer({ message, remedies });
      told = message;
    }
  });
}
