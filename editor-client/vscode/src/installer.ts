// Installs, updates and repairs the server, and fetches its models: what the user's commands do.
// What works goes on until the new one has started.

import * as vscode from "vscode";
import { type Connection, messageOf } from "./connection";
import type { Left } from "./installFailures";
import { installOffer, isDue, TRUST_OFFER } from "./installOffer";
import { type Launcher, NO_SERVER } from "./launcher";
import { offer } from "./notices";
import { sentence } from "./numbers";
import { saidBy, wasAborted } from "./programs";
import {
  COPY_DIAGNOSIS,
  FETCH_MODEL,
  INSTALL,
  inWords,
  REPAIR,
  type Remedy,
  remediesBesideRepair,
  retry,
  SET_PATH,
  UPDATE,
} from "./remedies";
import { installQuestion, type Question, repairQuestion, updateQuestion } from "./replacement";
import { isRunning, lackedModel } from "./status";

const PUT_OFF = "installationPutOff";
const UPDATE_OFFERED = "updateOffered";
const IS_INSTALLING = "longllama-code.isInstalling";
const NOT_NOW = "Not Now";
const TRUST = "Manage Trust";
const KEPT_CHARS = 2000;

/** What did not happen, by what was asked for. */
const NOT_DONE = new Map([
  [INSTALL, "the server was not installed"],
  [UPDATE, "the server was not updated"],
  [REPAIR, "the server was not repaired"],
  [FETCH_MODEL, "the model was not fetched"],
]);

export class Installer {
  private installation: AbortController | undefined;
  /** What was said when installing or fetching failed last, for a diagnosis. */
  lastFailure = "";

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly connection: Connection,
    private readonly launcher: Launcher,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** Say what an installation takes, unless the user has put it off. */
  async offerInstallation(): Promise<void> {
    if (!isDue(this.context.globalState.get(PUT_OFF), Date.now())) return;
    const waits = await this.launcher.waitsForTrust();
    const [text, ...buttons] = waits
      ? [TRUST_OFFER, TRUST, INSTALL.label]
      : [installOffer(process.platform), INSTALL.label, SET_PATH.label];
    const choice = await vscode.window.showInformationMessage(text, ...buttons, NOT_NOW);
    if (choice === TRUST) await vscode.commands.executeCommand("workbench.trust.manage");
    if (choice === INSTALL.label) await this.install();
    if (choice === SET_PATH.label) await vscode.commands.executeCommand("longllama-code.setPath");
    if (choice === NOT_NOW) await this.context.globalState.update(PUT_OFF, Date.now());
  }

  /** After the extension was updated: the old server goes on, and is offered to be updated once. */
  async offerUpdate(): Promise<void> {
    const own = this.launcher.environments.current();
    const { globalState } = this.context;
    const version = this.version();
    if (own === undefined || !this.launcher.isOwn || own.version === version) return;
    if (globalState.get(UPDATE_OFFERED) === version) return;
    await globalState.update(UPDATE_OFFERED, version);
    if (await this.isWanted(updateQuestion(own.version, version))) await this.replace(UPDATE);
  }

  async install(): Promise<void> {
    const { found, environments } = this.launcher;
    const server = this.works() ? found : undefined;
    const question = installQuestion(server, environments.current(), this.version());
    if (await this.isWanted(question)) await this.replace(INSTALL);
  }

  async update(): Promise<void> {
    const own = this.launcher.environments.current();
    if (own === undefined || !this.launcher.isOwn) return this.install();
    if (own.version === this.version()) {
      const message = `the server has this extension's version, ${own.version}; there is no newer.`;
      return offer({ message, remedies: [REPAIR], severity: "information" });
    }
    const question = updateQuestion(own.version, this.version());
    if (await this.isWanted(question)) await this.replace(UPDATE);
  }

  async repair(): Promise<void> {
    const { found, isOwn } = this.launcher;
    if (found !== undefined && !isOwn) return this.install();
    if (await this.isWanted(repairQuestion(this.works() ? found : undefined))) {
      await this.replace(REPAIR);
    }
  }

  cancel(): void {
    this.installation?.abort();
  }

  async fetchModel(): Promise<void> {
    const model = lackedModel(this.connection.condition);
    if (await this.fetch(model)) await this.connection.execute("longllama.restart");
  }

  /** Fetch a model; whether it is here. Where it is not, the user has been told why. */
  async fetch(model: string | undefined): Promise<boolean> {
    try {
      const { found } = this.launcher;
      if (found === undefined) throw new Error(NO_SERVER);
      const { fetchModel } = await import("./library.js");
      await fetchModel(found.command, model, this.context, this.log);
      return true;
    } catch (error) {
      await this.tell(error, FETCH_MODEL, "another model");
      return false;
    }
  }

  private version(): string {
    return String(this.context.extension.packageJSON.version);
  }

  private works(): boolean {
    const { condition } = this.connection;
    return isRunning(condition) ? condition.phase !== "failed" : condition.phase === "starting";
  }

  private async isWanted(question: Question | undefined): Promise<boolean> {
    if (question === undefined) return true;
    const { text, detail, yes } = question;
    const message = `LongLLaMA: ${text} ${detail}`;
    return (await vscode.window.showInformationMessage(message, yes, NOT_NOW)) === yes;
  }

  /** Nothing that works is stopped before the new server has started. */
  private async replace(action: Remedy): Promise<void> {
    if (this.installation !== undefined) {
      this.say("the server is being installed already.");
      return;
    }
    this.installation = new AbortController();
    void vscode.commands.executeCommand("setContext", IS_INSTALLING, true);
    const before = this.connection.condition;
    if (!this.works()) {
      this.connection.condition = { phase: "installing", message: "installing the server" };
    }
    try {
      const { environments } = this.launcher;
      const { installServer } = await import("./library.js");
      await installServer(this.context, environments, this.log, this.installation);
      await this.launcher.restart();
    } catch (error) {
      if (this.connection.condition.phase === "installing") this.connection.condition = before;
      await this.tell(error, action, this.left());
    } finally {
      this.installation = undefined;
      void vscode.commands.executeCommand("setContext", IS_INSTALLING, false);
    }
  }

  /** What there is, as no new server was made. */
  private left(): Left {
    if (this.launcher.found === undefined) return "no server";
    if (this.works()) return "a server that works";
    return isRunning(this.connection.condition) ? "a server that fails" : "a server that ends";
  }

  private async tell(error: unknown, action: Remedy, left: Left): Promise<void> {
    const rest = left === "a server that works" ? "; the one that you have goes on" : "";
    const what = `${NOT_DONE.get(action)}${rest}`;
    this.log.error(`${what}: ${messageOf(error)}`);
    if (wasAborted(error)) return this.say(`${what}: it was cancelled.`);
    const output = saidBy(error);
    this.lastFailure = `${what}:\n${output.trim().slice(-KEPT_CHARS)}`;
    const { fetchRemedies, shortReason } = await import("./library.js");
    const told = {
      message: shortReason(output, left),
      remedies: fetchRemedies(output, retry(action), left),
    };
    if (left === "a server that fails") {
      const { condition } = this.connection;
      told.message += ` The one that you have stays as it was: ${sentence(inWords(condition))}`;
      // Four fit; by their commands, as each bundle has remedies of its own.
      const others = told.remedies.filter(({ command }) => command !== COPY_DIAGNOSIS.command);
      told.remedies = [...remediesBesideRepair(condition), ...others];
    }
    void offer({ ...told, message: `${what}: ${told.message}` });
  }

  private say(message: string): void {
    void vscode.window.showInformationMessage(`LongLLaMA: ${message}`);
  }
}
