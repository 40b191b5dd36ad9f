// The commands about the server itself: installing, models, and what is wrong with it.

import * as vscode from "vscode";
import type { DiagnosisView } from "./diagnosisView";
import type { Installer } from "./installer";
import type { Launcher } from "./launcher";
import { openMachineSetting } from "./machineSettings";
import { chooseModel } from "./modelChoice";

const UV = "https://docs.astral.sh/uv/getting-started/installation/";

export interface ServerParts {
  launcher: Launcher;
  installer: Installer;
  diagnosis: DiagnosisView;
}

export function registerServerCommands(parts: ServerParts): vscode.Disposable {
  const { launcher, installer, diagnosis } = parts;
  const commands: Record<string, () => unknown> = {
    installServer: () => installer.install(),
    updateServer: () => installer.update(),
    repairServer: () => installer.repair(),
    cancelInstall: () => installer.cancel(),
    setPath: () => openMachineSetting("longllama.server.command"),
    fetchModel: () => installer.fetchModel(),
    chooseModel: () => chooseModel(launcher, installer),
    diagnose: () => diagnosis.show(),
    copyDiagnosis: () => diagnosis.copy(),
    setProxy: () => openMachineSetting("http.proxy"),
    getUv: () => vscode.env.openExternal(vscode.Uri.parse(UV)),
  };
  const register = ([name, run]: [string, () => unknown]) =>
    vscode.commands.registerCommand(`longllama-code.${name}`, run);
  return vscode.Disposable.from(...Object.entries(commands).map(register));
}
