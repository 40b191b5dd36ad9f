// Installs the server, and fetches models, with progress that can be cancelled.

import * as vscode from "vscode";
import { packageOf, stepOf } from "./environment";
import { checkRoom, installVariables, MODEL_BYTES, SERVER_BYTES } from "./machine";
import type { OwnEnvironments } from "./ownEnvironments";
import { beside, inEnvironment, type Run, run } from "./programs";
import { pullArguments, replaceEnvironment } from "./replacement";
import { Steps } from "./steps";

/** Programs that say what they do, and how far they are. */
interface Work {
  /** Its output is of the server's installation. */
  install: Run;
  /** Its output is of the model. */
  pull: Run;
  steps: Steps;
}

/**
 * A new environment beside the old, which is found from when its server has started; its model is
 * fetched at the same time.
 */
export async function installServer(
  context: vscode.ExtensionContext,
  environments: OwnEnvironments,
  log: vscode.LogOutputChannel,
  abort: AbortController,
): Promise<void> {
  const packages = context.asAbsolutePath("server");
  const version = String(context.extension.packageJSON.version);
  const model = vscode.workspace.getConfiguration("longllama").get("model.path", "auto");
  const pull = pullArguments(model);
  const needed = SERVER_BYTES + (pull === undefined ? 0 : MODEL_BYTES);
  await checkRoom(context.globalStorageUri.fsPath, needed);
  await withProgress("Installing the server", context, log, abort, async (work) => {
    const { install, steps } = work;
    const report = (step: string) => steps.set("server", step);
    const fetch =
      pull && ((python: string, signal: AbortSignal) => ahead(python, pull, signal, work, log));
    const parts = { environments, packages, version, run: install, report, fetch };
    const own = await replaceEnvironment(parts);
    await environments.release(own); // whoever starts it says so
    if (pull !== undefined) await fetchWith(own.environment, pull, work, log);
  });
}

/** Fetch the model while the server is being installed; what is not here then, is fetched after it. */
async function ahead(
  python: string,
  pull: readonly string[],
  signal: AbortSignal,
  work: Work,
  log: vscode.LogOutputChannel,
): Promise<void> {
  const command = ["-m", "longllama_code.commands.pull", ...pull, "--only-fetch"];
  try {
    await work.pull(python, command, { signal });
  } catch (error) {
    log.info(`the model was not fetched beside the server: ${error}`);
  } finally {
    work.steps.set("model", "");
  }
}

/** A server without its model is installed as well: it says so, and offers to fetch it. */
async function fetchWith(
  environment: string,
  pull: readonly string[],
  { pull: run, steps }: Work,
  log: vscode.LogOutputChannel,
): Promise<void> {
  steps.set("server", "");
  steps.set("model", "compiling what this machine needs");
  try {
    await run(inEnvironment(environment, "longllama"), pull);
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
  await withProgress(title, context, log, new AbortController(), async ({ pull }) => {
    await pull(longllama, model === undefined ? ["pull"] : ["pull", model]);
  });
}

async function withProgress(
  title: string,
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  abort: AbortController,
  work: (work: Work) => Promise<void>,
): Promise<void> {
  const location = vscode.ProgressLocation.Notification;
  const options = { location, title: `LongLLaMA: ${title}`, cancellable: true };
  const ending = { dispose: () => abort.abort() };
  context.subscriptions.push(ending); // a closed window leaves nothing running
  await vscode.window.withProgress(options, async (progress, token) => {
    token.onCancellationRequested(() => abort.abort());
    const steps = new Steps((message) => progress.report({ message }));
    const started = (listen: (text: string) => void) => logged(log, abort.signal, listen);
    await work({
      install: started((text) => steps.detail("server", packageOf(text))),
      pull: started((text) => steps.set("model", stepOf(text))),
      steps,
    });
  });
}

/** Runs programs with the editor's proxy; what they say is logged, and they can be cancelled. */
function logged(
  log: vscode.LogOutputChannel,
  abort: AbortSignal,
  listen: (text: string) => void,
): Run {
  const settings = vscode.workspace.getConfiguration("http");
  const proxy = {
    address: settings.get("proxy", ""),
    except: settings.get<string[]>("noProxy", []),
  };
  const variables = installVariables(proxy, process.env);
  return (command, args, options) => {
    log.info([command, ...args].join(" "));
    const signal = options?.signal ? AbortSignal.any([abort, options.signal]) : abort;
    const take = (text: string) => {
      log.append(text);
      listen(text);
    };
    return run(command, args, { log: take, signal, variables });
  };
}
