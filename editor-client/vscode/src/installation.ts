// Installs the server, and fetches models, with progress that can be cancelled.

import * as vscode from "vscode";
import { stepOf } from "./environment";
import type { OwnEnvironments } from "./ownEnvironments";
import { beside, inEnvironment, type Run, run } from "./programs";
import { pullArguments, replaceEnvironment } from "./replacement";

type Report = (step: string) => void;

/** A new environment beside the old, which is found from when its server has started; its model. */
export async function installServer(
  context: vscode.ExtensionContext,
  environments: OwnEnvironments,
  log: vscode.LogOutputChannel,
  abort: AbortController,
): Promise<void> {
  const packages = context.asAbsolutePath("server");
  const version = String(context.extension.packageJSON.version);
  const title = "Installing the server";
  await withProgress(title, context, log, abort, async (logged, report) => {
    const parts = { environments, packages, version, run: logged, report };
    const own = await replaceEnvironment(parts);
    await environments.release(own); // whoever starts it says so
    await fetchWith(own.environment, logged, report, log);
  });
}

/** A server without its model is installed as well: it says so, and offers to fetch it. */
async function fetchWith(
  environment: string,
  logged: Run,
  report: Report,
  log: vscode.LogOutputChannel,
): Promise<void> {
  const model = vscode.workspace.getConfiguration("longllama").get("model.path", "auto");
  const pull = pullArguments(model);
  if (pull === undefined) return;
  report("fetching the model (about 500 MB, or 90 MB where memory is short)");
  try {
    await logged(inEnvironment(environment, "longllama"), pull);
  } catch (error) {
    log.warn(`the model was not fetched: ${error}`);
  }
}

/** Fetch a model, or the default one, with the environment that the server runs in. */
export async function fetchModel(
  server: string,
  model: string | undefined,
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
): Promise<void> {
  const longllama = beside(server, "longllama");
  const title = `Fetching the model ${model ?? "(about 500 MB)"}`;
  await withProgress(title, context, log, new AbortController(), async (logged) => {
    await logged(longllama, model === undefined ? ["pull"] : ["pull", model]);
  });
}

async function withProgress(
  title: string,
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  abort: AbortController,
  work: (logged: Run, report: Report) => Promise<void>,
): Promise<void> {
  const location = vscode.ProgressLocation.Notification;
  const options = { location, title: `LongLLaMA: ${title}`, cancellable: true };
  const ending = { dispose: () => abort.abort() };
  context.subscriptions.push(ending); // a closed window leaves nothing running
  await vscode.window.withProgress(options, async (progress, token) => {
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
