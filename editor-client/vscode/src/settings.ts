// Changes settings, for the user's commands and where the server asks on the user's word.

import * as vscode from "vscode";
import { type Languages, toggled } from "./languages";
import { openMachineSetting } from "./machineSettings";
import { modelName } from "./modelName";

const EXTENSION = "longllama.longllama-code";

/** Change a setting where it is set already, in the workspace or for the user. */
export async function change(name: string, value: unknown): Promise<void> {
  const settings = vscode.workspace.getConfiguration("longllama");
  const isOfWorkspace = settings.inspect(name)?.workspaceValue !== undefined;
  const { Workspace, Global } = vscode.ConfigurationTarget;
  await settings.update(name, value, isOfWorkspace ? Workspace : Global);
}

/** Turn suggestions off or on in a language, and leave nothing in the settings that says nothing. */
export async function turnLanguage(language: string, isOn: boolean): Promise<void> {
  const settings = vscode.workspace.getConfiguration("longllama");
  const said = settings.inspect<Languages>("enableLanguages");
  const { defaultValue = {}, globalValue = {}, workspaceValue } = said ?? {};
  const isOfWorkspace = workspaceValue !== undefined;
  const [own, below] = isOfWorkspace
    ? [workspaceValue, { ...defaultValue, ...globalValue }]
    : [globalValue, defaultValue];
  await change("enableLanguages", toggled(own, below, language, isOn));
}

/** Open our settings, or one of them by its full name where it can be changed. */
export async function openSettings(key?: unknown): Promise<void> {
  if (typeof key !== "string") {
    await vscode.commands.executeCommand("workbench.action.openSettings", `@ext:${EXTENSION}`);
    return;
  }
  const isOfWorkspace =
    vscode.workspace.getConfiguration().inspect(key)?.workspaceValue !== undefined;
  if (!isOfWorkspace && isOfMachine(key)) return openMachineSetting(key);
  // As text: only there is a setting shown that does not exist.
  const file = isOfWorkspace ? "openWorkspaceSettingsFile" : "openSettingsJson";
  const argument = { revealSetting: { key } };
  await vscode.commands.executeCommand(`workbench.action.${file}`, argument);
}

/** Whether a setting stands in the settings of a machine, as the manifest declares it. */
function isOfMachine(key: string): boolean {
  const manifest = vscode.extensions.getExtension(EXTENSION)?.packageJSON;
  const categories: { properties: Record<string, { scope?: string }> }[] =
    manifest?.contributes.configuration ?? [];
  return categories.some(({ properties }) => properties[key]?.scope?.startsWith("machine"));
}

/** The user pressed the server's "Use …", and the model is here; false where it names none. */
export async function chooseModel(params: unknown): Promise<boolean> {
  const model = modelName(params);
  if (model !== undefined) await change("model.path", model);
  return model !== undefined;
}
