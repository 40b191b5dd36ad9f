// Finds the server and starts it; installs it, or fetches its model, when the user says so.

import * as vscode from "vscode";
import { type Connection, messageOf } from "./connection";
import { findServer, type Server } from "./find";
import { fetchModel, installServer, managedFolder } from "./installation";
import { lackedModel } from "./status";
import { folders, selectedEnvironment } from "./workspace";

const NO_SERVER = "no server was found in the workspace's Python environment or on the PATH";

export class Launcher {
  private server: Server | undefined;
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly connection: Connection,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  start(): Promise<void> {
    return this.next(() => this.launch());
  }

  restart(): Promise<void> {
    return this.next(async () => {
      await this.connection.stop();
      await this.launch();
    });
  }

  install(): Promise<void> {
    return this.next(async () => {
      await this.connection.stop();
      this.connection.condition = { phase: "installing", message: "installing the server" };
      await installServer(this.context, this.log);
      await this.launch();
    });
  }

  fetchModel(): Promise<void> {
    return this.next(async () => {
      if (this.server === undefined) throw new Error(NO_SERVER);
      await fetchModel(this.server.command, lackedModel(this.connection.condition), this.log);
      await this.connection.execute("longllama.restart");
    });
  }

  /** One at a time: a start that overtakes a stop would leave two servers. */
  private next(work: () => Promise<void>): Promise<void> {
    this.last = this.last.then(work).catch((error) => this.fail(messageOf(error)));
    return this.last;
  }

  private async launch(): Promise<void> {
    this.server = findServer(await this.places());
    const hasServer = this.server !== undefined;
    await vscode.commands.executeCommand("setContext", "longllama-code.hasServer", hasServer);
    if (this.server !== undefined) await this.connection.start(this.server);
    else void this.offerInstallation();
  }

  private async places() {
    const { isTrusted } = vscode.workspace;
    const settings = vscode.workspace.getConfiguration("longllama");
    return {
      command: settings.get<string[]>("server.command", []),
      selected: isTrusted ? await selectedEnvironment() : undefined,
      folders: folders().map((folder) => folder.path),
      isTrusted,
      managed: managedFolder(this.context),
    };
  }

  private async offerInstallation(): Promise<void> {
    this.connection.condition = { phase: "stopped", message: `${NO_SERVER}; install it` };
    const question =
      "LongLLaMA needs its server, a Python program with torch, and a model (1.7 GB or more).";
    const choice = await vscode.window.showInformationMessage(question, "Install", "Set a Path");
    if (choice === "Install") await this.install();
    if (choice === "Set a Path") await openSetting("longllama.server.command");
  }

  private fail(message: string): void {
    this.log.error(message);
    this.connection.condition = { phase: "stopped", message };
    void vscode.window.showErrorMessage(`LongLLaMA: ${message}`);
  }
}

async function openSetting(name: string): Promise<void> {
  await vscode.commands.executeCommand("workbench.action.openSettings", name);
}
