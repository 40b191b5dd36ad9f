// The connection to the server: starts it, starts it again when it ends, says how it is.

import { homedir } from "node:os";
import * as vscode from "vscode";
import type {
  CloseHandlerResult,
  LanguageClient,
  LanguageClientOptions,
  Middleware,
} from "vscode-languageclient/node";
import { Backoff } from "./backoff";
import type { Server } from "./find";
import { CHOOSE_MODEL, STATUS, STATUS_CHANGED, type Status } from "./protocol";
import { chooseModel } from "./settings";
import type { Condition } from "./status";

type Library = typeof import("./library.js");

const METHOD_NOT_FOUND = -32601;
const SELECTOR = ["file", "untitled", "vscode-notebook-cell"].map((scheme) => ({ scheme }));

export class Connection implements vscode.Disposable {
  /** The suggestion shown last: what "Why this suggestion?" is about. */
  lastSuggestion: string | undefined;
  private client: LanguageClient | undefined;
  private current: Condition = { phase: "stopped", message: "not started" };
  private readonly changed = new vscode.EventEmitter<Condition>();
  readonly onDidChange = this.changed.event;
  private readonly trace: vscode.LogOutputChannel;

  constructor(private readonly log: vscode.LogOutputChannel) {
    this.trace = vscode.window.createOutputChannel("LongLLaMA Trace", { log: true });
  }

  get condition(): Condition {
    return this.current;
  }

  set condition(condition: Condition) {
    this.current = condition;
    this.changed.fire(condition);
  }

  async start(server: Server): Promise<void> {
    this.log.info(`server: ${[server.command, ...server.args].join(" ")} (${server.origin})`);
    this.condition = { phase: "starting", message: "starting the server" };
    const run = { command: server.command, args: server.args, options: { cwd: homedir() } };
    const library = await import("./library.js");
    const options = this.options(library, new Backoff());
    const client = new library.LanguageClient("longllama", "LongLLaMA", run, options);
    this.client = client;
    client.onNotification(STATUS_CHANGED, (status: Status) => this.hear(client, status));
    client.onRequest<boolean, void>(CHOOSE_MODEL, chooseModel);
    client.onDidChangeState(() => this.askWhereItRuns(client));
    try {
      await client.start();
    } catch (error) {
      this.fail(client, `the server did not start: ${messageOf(error)}`);
    }
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.lastSuggestion = undefined;
    // A client that never came up cannot be stopped; it has nothing to stop.
    await client?.dispose().catch((error) => this.log.info(`while stopping: ${messageOf(error)}`));
  }

  dispose(): void {
    this.changed.dispose();
    this.trace.dispose();
  }

  /** The server's answer; undefined, and the user is told, where it has none. */
  async ask<T>(method: string, params: object = {}): Promise<T | undefined> {
    const client = this.client;
    if (client?.isRunning() !== true) return this.sayNotRunning();
    try {
      return await client.sendRequest<T>(method, params);
    } catch (error) {
      const isUnknown = (error as { code?: number }).code === METHOD_NOT_FOUND;
      this.complain(isUnknown ? unknown(method) : `${method}: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Have the server carry out one of its commands. */
  async execute(command: string, ...args: unknown[]): Promise<void> {
    const known = this.client?.initializeResult?.capabilities.executeCommandProvider?.commands;
    if (known !== undefined && !known.includes(command)) this.complain(unknown(command));
    else await this.ask("workspace/executeCommand", { command, arguments: args });
  }

  private options(library: Library, backoff: Backoff): LanguageClientOptions {
    return {
      documentSelector: SELECTOR,
      outputChannel: this.log,
      traceOutputChannel: this.trace,
      middleware: this.middleware(),
      initializationFailedHandler: () => false,
      errorHandler: {
        error: () => ({ action: library.ErrorAction.Continue, handled: true }),
        closed: () => this.closed(library, backoff),
      },
    };
  }

  private middleware(): Middleware {
    return {
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        const answer = await next(document, position, context, token);
        const [item] = Array.isArray(answer) ? answer : (answer?.items ?? []);
        this.lastSuggestion = item?.command?.arguments?.[0] ?? this.lastSuggestion;
        return answer;
      },
    };
  }

  private async closed(library: Library, backoff: Backoff): Promise<CloseHandlerResult> {
    const { CloseAction } = library;
    const delay = backoff.next();
    this.lastSuggestion = undefined;
    if (delay === undefined) {
      const message = "the server ended again and again; the log says why";
      this.condition = { phase: "stopped", message };
      void this.offerHelp(message);
      return { action: CloseAction.DoNotRestart, message, handled: true };
    }
    const message = `the server ended; it is started again in ${delay / 1000} s`;
    this.condition = { phase: "starting", message };
    await new Promise((resolve) => setTimeout(resolve, delay));
    backoff.started();
    return { action: CloseAction.Restart, message, handled: true };
  }

  private async askWhereItRuns(client: LanguageClient): Promise<void> {
    if (client.isRunning()) {
      const status = await client.sendRequest<Status>(STATUS, {});
      this.hear(client, status);
    }
  }

  private hear(client: LanguageClient, status: Status): void {
    if (client === this.client) this.condition = status;
  }

  private fail(client: LanguageClient, message: string): void {
    if (client !== this.client) return;
    this.condition = { phase: "stopped", message };
    void this.offerHelp(message);
  }

  private async offerHelp(message: string): Promise<void> {
    this.log.error(message);
    const [log, restart] = ["Show the Log", "Restart"];
    const choice = await vscode.window.showErrorMessage(`LongLLaMA: ${message}`, log, restart);
    if (choice === log) this.log.show();
    if (choice === restart) await vscode.commands.executeCommand("longllama-code.restart");
  }

  private sayNotRunning(): undefined {
    this.complain(`the server is not running: ${this.current.message}`);
    return undefined;
  }

  private complain(message: string): void {
    this.log.warn(message);
    void vscode.window.showWarningMessage(`LongLLaMA: ${message}`);
  }
}

function unknown(name: string): string {
  return `this server does not know ${name}; a newer one does.`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
