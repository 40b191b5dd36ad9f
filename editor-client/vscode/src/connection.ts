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
import { gaveUp, reasonOf, unknown } from "./failures";
import type { Server } from "./find";
import { LateAnswers } from "./lateAnswers";
import { offer } from "./notices";
import { OneIndicator } from "./oneIndicator";
import { CHOOSE_MODEL, STATUS, STATUS_CHANGED, type Status } from "./protocol";
import { RESTART, type Remedy, remediesOfNone, SHOW_LOG, UPDATE } from "./remedies";
import { chooseModel } from "./settings";
import type { Condition } from "./status";
import { SuggestionReports } from "./suggestionReports";

type Library = typeof import("./library.js");

const SELECTOR = ["file", "untitled", "vscode-notebook-cell"].map((scheme) => ({ scheme }));

export class Connection implements vscode.Disposable {
  private suggestion: string | undefined;
  private client: LanguageClient | undefined;
  private backoff = new Backoff();
  private current: Condition = { phase: "starting", message: "looking for the server" };
  private readonly changed = new vscode.EventEmitter<Condition>();
  readonly onDidChange = this.changed.event;
  private readonly suggested = new vscode.EventEmitter<void>();
  readonly onDidSuggest = this.suggested.event;
  private readonly trace: vscode.LogOutputChannel;
  private readonly reports = new SuggestionReports((method, params) => this.notify(method, params));

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

  /** The suggestion shown last: what "Why this suggestion?" is about. */
  get lastSuggestion(): string | undefined {
    return this.suggestion;
  }

  private set lastSuggestion(id: string | undefined) {
    this.suggestion = id;
    this.suggested.fire();
  }

  async start(server: Server): Promise<void> {
    this.log.info(`server: ${[server.command, ...server.args].join(" ")} (${server.origin})`);
    this.condition = { phase: "starting", message: "starting the server" };
    const run = { command: server.command, args: server.args, options: { cwd: homedir() } };
    const library = await import("./library.js");
    this.backoff = new Backoff();
    const options = this.options(library, this.backoff);
    const client = new library.QuietClient("longllama", "LongLLaMA", run, options);
    this.client = client;
    client.onNotification(STATUS_CHANGED, (status: Status) => this.hear(client, status));
    client.onRequest<boolean, void>(CHOOSE_MODEL, chooseModel);
    client.onDidChangeState(() => this.askWhereItRuns(client));
    try {
      await client.start();
    } catch (error) {
      this.log.error(`the server did not start: ${messageOf(error)}`);
      // One that ended is started again, or was given up with a notice of its own.
      if (this.backoff.ends === 0) this.fail(client, "The server could not be started.");
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
    vscode.Disposable.from(this.changed, this.suggested, this.trace, this.reports).dispose();
  }

  /** The server's answer; undefined, and the user is told, where it has none. */
  async ask<T>(method: string, params: object = {}, name = method): Promise<T | undefined> {
    try {
      return await this.request<T>(method, params);
    } catch (error) {
      this.log.warn(`${name}: ${messageOf(error)}`);
      if (this.client?.isRunning() === true) this.complain(reasonOf(name, error), [SHOW_LOG]);
      else this.complain(this.notRunning(), remediesOfNone(this.current));
      return undefined;
    }
  }

  /** The same for what the user did not ask for: where there is no answer, only the log says so. */
  async askQuietly<T>(method: string, params: object = {}): Promise<T | undefined> {
    try {
      return await this.request<T>(method, params);
    } catch (error) {
      this.log.info(`${method}: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Tell the server something; where it does not run, nothing is lost. */
  notify(method: string, params: object): void {
    if (this.client?.isRunning() === true) void this.client.sendNotification(method, params);
  }

  /** Have the server carry out one of its commands; its answer, as that of `ask`. */
  async execute<T>(command: string, ...args: unknown[]): Promise<T | undefined> {
    const known = this.client?.initializeResult?.capabilities.executeCommandProvider?.commands;
    if (known !== undefined && !known.includes(command)) {
      this.complain(unknown(command), [UPDATE, SHOW_LOG]);
      return undefined;
    }
    return this.ask<T>("workspace/executeCommand", { command, arguments: args }, command);
  }

  private async request<T>(method: string, params: object): Promise<T> {
    const client = this.client;
    if (client?.isRunning() !== true) throw new Error("the server is not running");
    return client.sendRequest<T>(method, params);
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
    const indicator = new OneIndicator();
    const late = new LateAnswers();
    return {
      handleWorkDoneProgress: (token, params, next) => {
        if (indicator.shows(token, params)) next(token, params);
      },
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        const answer = await late.provide(document, position, context, token, next);
        const [item] = Array.isArray(answer) ? answer : (answer?.items ?? []);
        this.lastSuggestion = item?.command?.arguments?.[0] ?? this.lastSuggestion;
        this.reports.answered(document, position, item, token);
        return answer;
      },
    };
  }

  private async closed(library: Library, backoff: Backoff): Promise<CloseHandlerResult> {
    const { CloseAction } = library;
    const delay = backoff.next();
    this.lastSuggestion = undefined;
    if (delay === undefined) {
      const message = gaveUp(backoff.ends);
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
    if (!client.isRunning()) return;
    const status = await this.askQuietly<Status>(STATUS);
    if (status !== undefined) this.hear(client, status);
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
    await offer({ message, remedies: [{ ...RESTART, label: "Restart" }, SHOW_LOG] });
  }

  private notRunning(): string {
    return `the server is not running: ${this.current.message}`;
  }

  private complain(message: string, remedies: readonly Remedy[]): void {
    this.log.warn(message);
    void offer({ message, remedies, severity: "warning" });
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
