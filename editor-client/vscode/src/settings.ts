// Changes settings, for the user's commands and where the server asks on the user's word.

import * as vscode from "vscode";
import { modelName } from "./modelName";

/** Change a setting where it is set already, in the workspace or for the user. */
export async function change(name: string, value: unknown): Promise<void> {
  const settings = vscode.workspace.getConfiguration("longllama");
  const isOfWorkspace = settings.inspect(name)?.workspaceValue !== undefined;
  const { Workspace, Global } = vscode.ConfigurationTarget;
  await settings.update(name, value, isOfWorkspace ? Workspace : Global);
}

/** The user pressed the server's "Use …", and the model is here; false where it names none. */
export async function chooseModel(params: unknown): Promise<boolean> {
  const model = modelName(params);
  if (model !== undefined) await change("model.path", model);
  return model !== undefined;
}
