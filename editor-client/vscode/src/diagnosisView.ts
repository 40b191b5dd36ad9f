// "Diagnose": a document that cannot be changed and is not to be saved, with an action that copies
// it; what it says is decided by the server, or in diagnosis.ts.

import { platform, release } from "node:os";
import * as vscode from "vscode";
import type { Connection } from "./connection";
import { asText, byProgram, withoutServer } from "./diagnosis";
import { wheelIn } from "./environment";
import type { Launcher } from "./launcher";
import { run } from "./programs";
import { DIAGNOSE, type Diagnosis } from "./protocol";
import { isRunning } from "./status";
import { folders } from "./workspace";

const SCHEME = "longllama-diagnosis";
const DOCUMENT = vscode.Uri.from({ scheme: SCHEME, path: "LongLLaMA Diagnosis" });

export class DiagnosisView implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private text = "";
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly registration: vscode.Disposable;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly connection: Connection,
    private readonly launcher: Launcher,
    private readonly lastFailure: () => string,
  ) {
    this.registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  }

  provideTextDocumentContent(): string {
    return this.text;
  }

  dispose(): void {
    vscode.Disposable.from(this.registration, this.changed).dispose();
  }

  /** Check all there is to check, which takes seconds, and show it. */
  async show(): Promise<void> {
    this.text = await this.looking();
    this.changed.fire(DOCUMENT);
    const document = await vscode.workspace.openTextDocument(DOCUMENT);
    await vscode.window.showTextDocument(document, { preview: false });
  }

  /** Copy what is shown; where nothing is, or something failed since, look first. */
  async copy(): Promise<void> {
    const isShown = vscode.window.activeTextEditor?.document.uri.scheme === SCHEME;
    if (!isShown) this.text = await this.looking();
    await vscode.env.clipboard.writeText(this.text);
    void vscode.window.setStatusBarMessage("LongLLaMA: the diagnosis was copied", 3000);
  }

  private async looking(): Promise<string> {
    const title = "LongLLaMA: looking at what may be wrong";
    const options = { location: vscode.ProgressLocation.Notification, title };
    return vscode.window.withProgress(options, () => this.diagnosis());
  }

  private async diagnosis(): Promise<string> {
    const body = isRunning(this.connection.condition) ? await this.ofServer() : undefined;
    const parts = [this.heading(), body ?? (await this.ofMachine()), this.lastFailure()];
    return `${parts
      .filter((part) => part !== "")
      .map((part) => part.trimEnd())
      .join("\n\n")}\n`;
  }

  private heading(): string {
    const { found } = this.launcher;
    const { id, packageJSON } = this.context.extension;
    const where = vscode.env.remoteName ?? "this machine";
    const server =
      found === undefined
        ? "none"
        : `${[found.command, ...found.args].join(" ")} (${found.origin})`;
    return [
      `${id} ${packageJSON.version}, VS Code ${vscode.version}, ${platform()} ${release()} (${where})`,
      `Server: ${server}`,
      `Status: ${this.connection.condition.phase}, ${this.connection.condition.message}`,
    ].join("\n");
  }

  private async ofServer(): Promise<string | undefined> {
    return (await this.connection.askQuietly<Diagnosis>(DIAGNOSE))?.text;
  }

  private async ofMachine(): Promise<string> {
    const { found } = this.launcher;
    const places = await this.launcher.places();
    const settings = vscode.workspace.getConfiguration("longllama");
    if (found === undefined) {
      const packages = this.context.asAbsolutePath("server");
      return asText(await withoutServer(places, () => wheelIn(packages), run));
    }
    const asked = {
      root: folders()[0]?.path,
      model: settings.get("model.path", "auto"),
      cacheDir: settings.get("memory.cacheDir", ""),
    };
    return byProgram(found, asked, run);
  }
}
