// LongLLaMA Code for VS Code: finds the server, connects to it, and shows what it says.

import * as vscode from "vscode";
import { registerCommands } from "./commands";
import { Connection } from "./connection";
import { tellOfCursor } from "./cursorRest";
import { DiagnosisView } from "./diagnosisView";
import { Installer } from "./installer";
import { Launcher } from "./launcher";
import { MemoryView } from "./memoryView";
import { tellFailures } from "./notices";
import { registerServerCommands } from "./serverCommands";
import { tellIgnoredSettings } from "./settingsNotice";
import { SourcesView } from "./sourcesView";
import { StatisticsView } from "./statisticsView";
import { createStatusItem, showCondition } from "./statusItem";

let running: Connection | undefined;

/** Puts the parts together. The server is started in the background: nobody waits for it here. */
export function activate(context: vscode.ExtensionContext): void {
  const began = performance.now();
  const log = vscode.window.createOutputChannel("LongLLaMA", { log: true });
  const connection = new Connection(log);
  const launcher = new Launcher(context, connection, log);
  const installer = new Installer(context, connection, launcher, log);
  const diagnosis = new DiagnosisView(context, connection, launcher, () => installer.lastFailure);
  const sources = new SourcesView(connection);
  const statistics = new StatisticsView(connection);
  running = connection;
  context.subscriptions.push(
    log,
    connection,
    launcher,
    diagnosis,
    sources,
    statistics,
    new MemoryView(connection),
    tellOfCursor(connection),
    registerCommands({ connection, launcher, sources, statistics, log }),
    registerServerCommands({ launcher, installer, diagnosis }),
    tellFailures(connection, () => launcher.isOwn),
    tellIgnoredSettings(connection),
    launcher.onIsMissing(() => installer.offerInstallation()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => launcher.restart()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("longllama.server.command")) void launcher.restart();
    }),
  );
  followStatus(context, connection);
  void launcher.start().then(() => installer.offerUpdate());
  log.info(`activated in ${Math.round(performance.now() - began)} ms`);
}

export async function deactivate(): Promise<void> {
  await running?.stop();
}

function followStatus(context: vscode.ExtensionContext, connection: Connection): void {
  const item = createStatusItem();
  const show = () => {
    const { condition } = connection;
    showCondition(item, condition);
    void vscode.commands.executeCommand("setContext", "longllama-code.phase", condition.phase);
  };
  show();
  context.subscriptions.push(
    item,
    connection.onDidChange(show),
    vscode.window.onDidChangeActiveTextEditor(show),
    vscode.workspace.onDidChangeConfiguration(show),
  );
}
