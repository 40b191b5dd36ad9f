// Installs the server and its model where there are none, with progress that can be cancelled.

import { dirname, join } from "node:path";
import * as vscode from "vscode";
import { buildEnvironment, stepOf } from "./environment";
import { inEnvironment, type Run, run } from "./programs";

type Report = (step: string) => void;

/** The folder of our own environment: another version of the extension, another environment. */
export function managedFolder(context: vscode.ExtensionContext): string {
  const version = String(context.extension.packageJSON.version);
  return join(context.globalStorageUri.fsPath, `server-${version}`);
}

export function installServer(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
): Promise<void> {
  const folder = managedFolder(context);
  const packages = context.asAbsolutePath("server");
  const work = async (logged: Run, report: Report) => {
    await vscode.workspace.fs.createDirectory(context.globalStorageUri);
    await buildEnvironment({ folder, packages, run: logged, report });
  };
  return withProgress("Installing the server", log, work);
}

/** Fetch a model, or the default one, with the environment that the server runs in. */
export function fetchModel(
  server: string,
  model: string | undefined,
  log: vscode.LogOutputChannel,
): Promise<void> {
  const longllama = inEnvironment(dirname(dirname(server)), "longllama");
  const title = `Fetching the model ${model ?? "(about 500 MB)"}`;
  return withProgress(title, log, async (logged) => {
    await logged(longllama, model === undefined ? ["pull"] : ["pull", model]);
  });
}

async function withProgress(
  title: string,
  log: vscode.LogOutputChannel,
  work: (logged: Run, report: Report) => Promise<void>,
): Promise<void> {
  const location = vscode.ProgressLocation.Notification;
  const options = { location, title: `LongLLaMA: ${title}`, cancellable: true };
  await vscode.window.withProgress(options, async (progress, token) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort());
    const report: Report = (message) => progress.report({ message });
    const listen = (text: string) => {
      log.append(text);
      const step = stepOf(text);
      if (step !== undefined) report(step);
    };
    const logged: Run = (command, args) => {
      log.info([command, ...args].join(" "));
      return run(command, args, { log: listen, signal: abort.signal });
    };
    await work(logged, report);
  });
}
