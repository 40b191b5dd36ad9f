// Settings of the machine, in the place where they can be changed.

import * as vscode from "vscode";

/** In a remote window, only the tab of the remote machine has the settings of a machine. */
export async function openMachineSetting(key: string): Promise<void> {
  const isRemote = vscode.env.remoteName !== undefined;
  const command = isRemote ? "openRemoteSettings" : "openSettings";
  await vscode.commands.executeCommand(`workbench.action.${command}`, { query: `@id:${key}` });
}
