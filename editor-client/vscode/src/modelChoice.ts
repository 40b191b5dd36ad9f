// "Choose a Model": those that the server knows, or a file or folder of the user's; what is not here
// is fetched first, so that the setting never names what is missing.

import * as vscode from "vscode";
import { messageOf } from "./connection";
import type { Installer } from "./installer";
import type { Launcher } from "./launcher";
import { type Model, modelsIn } from "./models";
import { offer } from "./notices";
import { beside, run } from "./programs";
import { CHOOSE_MODEL, REPAIR, retry, SHOW_LOG } from "./remedies";
import { change } from "./settings";

const FILE = { label: "$(file) A GGUF File …", picks: "file" as const };
const FOLDER = { label: "$(folder) A Folder with a Checkpoint …", picks: "folder" as const };

type Choice = Model | typeof FILE | typeof FOLDER;

export async function chooseModel(launcher: Launcher, installer: Installer): Promise<void> {
  const models = await listed(launcher);
  if (models === undefined) return;
  const placeHolder = "The model that suggestions are made with";
  const choice = await vscode.window.showQuickPick<Choice>([...models, FILE, FOLDER], {
    title: "LongLLaMA: Choose a Model",
    placeHolder,
    matchOnDetail: true,
  });
  const path = choice === undefined ? undefined : await pathOf(choice, installer);
  if (path !== undefined) await use(path, launcher);
}

async function listed(launcher: Launcher): Promise<Model[] | undefined> {
  const { found } = launcher;
  if (found === undefined) {
    await vscode.commands.executeCommand("longllama-code.installServer");
    return undefined;
  }
  try {
    return modelsIn(await run(beside(found.command, "longllama"), ["models", "--json"]));
  } catch (error) {
    const message = `the models could not be listed: ${messageOf(error)}`;
    void offer({ message, remedies: [retry(CHOOSE_MODEL), REPAIR, SHOW_LOG] });
    return undefined;
  }
}

async function pathOf(choice: Choice, installer: Installer): Promise<string | undefined> {
  if ("picks" in choice) return pick(choice.picks);
  return choice.isHere || (await installer.fetch(choice.path)) ? choice.path : undefined;
}

async function pick(what: "file" | "folder"): Promise<string | undefined> {
  const isFile = what === "file";
  const [chosen] =
    (await vscode.window.showOpenDialog({
      canSelectFiles: isFile,
      canSelectFolders: !isFile,
      openLabel: "Use This Model",
      ...(isFile && { filters: { GGUF: ["gguf"] } }),
    })) ?? [];
  return chosen?.fsPath;
}

/** A server that failed with the model that was set before is started again, if nothing changes. */
async function use(path: string, launcher: Launcher): Promise<void> {
  const before = vscode.workspace.getConfiguration("longllama").get("model.path");
  if (before === path) await launcher.restart();
  else await change("model.path", path);
}
