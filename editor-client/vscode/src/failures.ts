// What a request that failed says to the user: plain words, never those of the protocol. Knows no
// editor.

const METHOD_NOT_FOUND = -32601;
/** Codes of the protocol's library for a connection that was lost. */
const LOST = { from: -32_099, to: -32_096 };

/** What a method or command of the server is for, as the user knows it. */
const NAMES: Record<string, string> = {
  "longllama/memory": "Show Memory",
  "longllama/explain": "Why This Suggestion?",
  "longllama/diagnose": "Diagnose",
  "longllama.reindex": "Reindex the Workspace",
  "longllama.pauseIndexing": "Pause Indexing",
  "longllama.resumeIndexing": "Resume Indexing",
  "longllama.clearMemory": "Clear Memory",
  "longllama/clearStore": "Clear What Is Stored on Disk",
  "longllama.restart": "Restart the Server",
};

/** Said of what an older server lacks. */
export function unknown(name: string): string {
  return `this server is too old for “${nameOf(name)}”. Update the server.`;
}

/** Why a request failed. What the protocol itself says means nothing to a user. */
export function reasonOf(name: string, error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (code === METHOD_NOT_FOUND) return unknown(name);
  if (!isAnswer(code)) return `“${nameOf(name)}” has no answer, as the server ended. Try it again.`;
  return `“${nameOf(name)}” failed. The log says why.`;
}

/** Whether an error came from the server, whose codes are negative; others are the connection's. */
function isAnswer(code: unknown): boolean {
  return typeof code === "number" && code < 0 && (code < LOST.from || code > LOST.to);
}

function nameOf(name: string): string {
  return NAMES[name] ?? name;
}

const TIMES = ["once", "twice", "three times", "four times", "five times", "six times"];

/** Said once when a server that keeps ending is not started again. */
export function gaveUp(ends: number): string {
  const times = TIMES[ends - 1] ?? `${ends} times`;
  return `The server ended ${times} in a short time, so it is not started again. The log says why.`;
}
