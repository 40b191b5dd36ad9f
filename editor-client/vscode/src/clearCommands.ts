// The commands that clear memory and disk; what they ask and say is decided in clearing.ts.

import * as vscode from "vscode";
import {
  AND_PAUSE,
  AND_READ,
  CLEAR_MEMORY,
  CLEAR_STORE,
  PAUSED,
  type Question,
  removed,
} from "./clearing";
import type { Connection } from "./connection";
import { offer } from "./notices";
import { CLEARED_STORE, type ClearedStore } from "./protocol";
import { RESUME, SHOW_LOG } from "./remedies";

/** Empty the window's memory, once the user has chosen what comes after it. */
export async function clearMemory(connection: Connection): Promise<void> {
  const answer = await ask(CLEAR_MEMORY);
  if (answer === undefined) return;
  await connection.execute("longllama.clearMemory");
  if (answer === AND_READ) await connection.execute("longllama.resumeIndexing");
  if (answer === AND_PAUSE) void tell(PAUSED);
}

/** Remove what is stored, once the user has said so, and tell how much it was. */
export async function clearStore(connection: Connection): Promise<void> {
  if ((await ask(CLEAR_STORE)) === undefined) return;
  const cleared = await connection.ask<ClearedStore>(CLEARED_STORE);
  if (cleared === undefined) return;
  const message = removed(cleared);
  if (cleared.problem) void offer({ message, remedies: [SHOW_LOG], severity: "warning" });
  else void tell(message);
}

export async function ask({ message, detail, answers }: Question): Promise<string | undefined> {
  const text = `LongLLaMA: ${message}`;
  return vscode.window.showWarningMessage(text, { modal: true, detail }, ...answers);
}

function tell(message: string): Promise<void> {
  return offer({ message, remedies: [RESUME], severity: "information" });
}
