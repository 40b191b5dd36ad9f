// Finds the server, starts it, and says where it is from.

import * as vscode from "vscode";
import { type Connection, messageOf } from "./connection";
import { findServer, OWN_ORIGIN, type Places, type Server } from "./find";
import { offer } from "./notices";
import { type Own, OwnEnvironments } from "./ownEnvironments";
import { COPY_DIAGNOSIS, RESTART, SET_PATH, SHOW_LOG } from "./remedies";
import { folders, selectedEnvironment } from "./workspace";

export const NO_SERVER = "no server was found in the workspace's Python environment or on the PATH";

export class Launcher implements vscode.Disposable {
  readonly environments: OwnEnvironments;
  private server: Server | undefined;
  private used: Own | undefined;
  private last: Promise<void> = Promise.resolve();
  private readonly missing = new vscode.EventEmitter<void>();
  /** A start found no server. */
  readonly onIsMissing = this.missing.event;

  constructor(
    context: vscode.ExtensionContext,
    private readonly connection: Connection,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.environments = new OwnEnvironments(context.globalStorageUri.fsPath);
  }

  /** The server that was found at the last start. */
  get found(): Server | undefined {
    return this.server;
  }

  /** Whether it is the extension's own, which it can repair. */
  get isOwn(): boolean {
    return this.server?.origin === OWN_ORIGIN;
  }

  start(): Promise<void> {
    return this.next(() => this.launch());
  }

  restart(): Promise<void> {
    return this.next(async () => {
      await this.connection.stop();
      await this.launch();
    });
  }

  dispose(): void {
    this.missing.dispose();
    if (this.used !== undefined) void this.environments.release(this.used);
  }

  /** Where a server is looked for. */
  async places(): Promise<Places> {
    const { isTrusted } = vscode.workspace;
    const settings = vscode.workspace.getConfiguration("longllama");
    return {
      command: settings.get<string[]>("server.command", []),
      selected: isTrusted ? await selectedEnvironment() : undefined,
      folders: folders().map((folder) => folder.path),
      isTrusted,
      managed: this.environments.current()?.environment,
    };
  }

  /** Whether a server would be found if the user trusted the workspace. */
  async waitsForTrust(): Promise<boolean> {
    const places = await this.places();
    return !places.isTrusted && findServer({ ...places, isTrusted: true }) !== undefined;
  }

  /** One at a time: a start that overtakes a stop would leave two servers. */
  private next(work: () => Promise<void>): Promise<void> {
    this.last = this.last.then(work).catch((error) => this.fail(messageOf(error)));
    return this.last;
  }

  private async launch(): Promise<void> {
    this.server = undefined; // one that cannot be found any more is not to be asked
    this.server = findServer(await this.places());
    const hasServer = this.server !== undefined;
    // Not waited for: while a window opens, the workbench is too busy to answer at once.
    void vscode.commands.executeCommand("setContext", "longllama-code.hasServer", hasServer);
    await this.use(this.isOwn ? this.environments.current() : undefined);
    if (this.server !== undefined) return this.connection.start(this.server);
    this.connection.condition = { phase: "absent", message: `${NO_SERVER}; install it` };
    this.missing.fire();
  }

  /** Say which of our environments this window needs; the others may go, if no window needs them. */
  private async use(own: Own | undefined): Promise<void> {
    const before = this.used;
    this.used = own;
    if (own !== undefined) await this.environments.use(own);
    if (before !== undefined && before.folder !== own?.folder) {
      await this.environments.release(before);
    }
    void this.environments.removeUnused().catch((error) => this.log.info(messageOf(error)));
  }

  private fail(message: string): void {
    this.log.error(message);
    this.connection.condition = { phase: "stopped", message };
    void offer({ message, remedies: [SET_PATH, RESTART, COPY_DIAGNOSIS, SHOW_LOG] });
  }
}
