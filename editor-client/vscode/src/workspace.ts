// What we ask VS Code about the workspace: folders, files in memory, Python environments.

import * as vscode from "vscode";
import { pathOf } from "./paths";

export function folders(): { name: string; path: string }[] {
  const all = vscode.workspace.workspaceFolders ?? [];
  const onDisk = all.filter((folder) => folder.uri.scheme === "file");
  // The server calls a folder as the disk does; its name in the editor may be another one.
  return onDisk.map(({ uri }) => ({ name: uri.path.split("/").pop() ?? "", path: uri.fsPath }));
}

export function uriOf(name: string): vscode.Uri {
  return vscode.Uri.file(pathOf(name, folders()));
}

interface PythonApi {
  environments: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { path: string };
    resolveEnvironment(of: {
      path: string;
    }): Promise<{ executable: { sysPrefix: string } } | undefined>;
  };
}

/** The environment that is selected in the Python extension, where that is installed. */
export async function selectedEnvironment(): Promise<string | undefined> {
  const python = vscode.extensions.getExtension<PythonApi>("ms-python.python");
  if (python === undefined) return undefined;
  const { environments } = await python.activate();
  const resource = vscode.workspace.workspaceFolders?.[0]?.uri;
  const active = environments.getActiveEnvironmentPath(resource);
  return (await environments.resolveEnvironment(active))?.executable.sysPrefix;
}
