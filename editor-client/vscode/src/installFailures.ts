// Why installing or fetching failed, as a user can act on it, and what helps, as buttons. Knows no
// editor.

import {
  CHOOSE_MODEL,
  COPY_DIAGNOSIS,
  GET_UV,
  type Remedy,
  SET_PATH,
  SET_PROXY,
  SHOW_LOG,
} from "./remedies";

interface Kind {
  /** What pip, uv, `longllama pull` or the system says of it. */
  said: RegExp;
  reason: string;
  /** Beside trying again. */
  remedies: Remedy[];
}

/** The first that fits. What pip says behind a failure of the network is no cause of its own. */
const KINDS: Kind[] = [
  {
    said: /No space left on device|ENOSPC|not enough space on the disk|os error (?:28|112)\b|Disk quota exceeded|has only .* free/i,
    reason: "the disk is full. Make room, then try again.",
    remedies: [],
  },
  {
    said: /\b407\b|ProxyError|Cannot connect to proxy|Tunnel connection failed|proxyconnect|proxy authentication/i,
    reason: "the proxy refuses the connection, or wants a name and a password in its address.",
    remedies: [SET_PROXY],
  },
  {
    said: /CERTIFICATE_VERIFY_FAILED|SSLCertVerification|self[- ]signed certificate|invalid peer certificate|UnknownIssuer/i,
    reason:
      "the certificate of the package index is not trusted here, often as a proxy sends its own.",
    remedies: [SET_PROXY],
  },
  {
    said: /connection broken by|establish a new connection|name resolution|getaddrinfo|dns error|sending request|Failed to fetch|Network is unreachable|Connection (?:refused|reset|timed out)|Read timed out|could not be (?:reached|fetched)/i,
    reason:
      "the package index cannot be reached; the log says which. Without a network, name a server that you have.",
    remedies: [SET_PROXY],
  },
  {
    said: /Python 3\.\d+ or newer .*is missing|No interpreter found|No module named (?:venv|ensurepip)|ensurepip is not available/i,
    reason: "Python 3.10 or newer is missing. uv brings one, and is found at the next try.",
    remedies: [GET_UV, SET_PATH],
  },
  {
    said: /Permission denied|EACCES|EPERM|Access is denied|Read-only file system/i,
    reason: "a file cannot be written; the log says which.",
    remedies: [],
  },
];

const LACKING = /No matching distribution found for (\S+)|requested \(constraint\) (\S+)/;
const MAX_REASON_CHARS = 240;

/** Why it failed; else the last line that says something. */
export function shortReason(output: string): string {
  const kind = kindOf(output);
  if (kind !== undefined) return kind.reason;
  const lacking = lackedIn(output);
  if (lacking !== undefined) return `the package index lacks ${lacking}, or cannot be reached.`;
  const lines = output.split("\n").map((line) => line.trim());
  const last = lines.filter((line) => /\w/.test(line)).at(-1) ?? "";
  return last.length > MAX_REASON_CHARS ? `${last.slice(0, MAX_REASON_CHARS)} …` : last;
}

/** What helps where the server was not installed; `again` tries once more. */
export function installRemedies(output: string, again: Remedy): Remedy[] {
  return [again, ...specific(output), COPY_DIAGNOSIS, SHOW_LOG];
}

/** What helps where a model was not fetched. */
export function fetchRemedies(output: string, again: Remedy): Remedy[] {
  const first = specific(output);
  return [again, ...(first.length > 0 ? first : [CHOOSE_MODEL]), COPY_DIAGNOSIS, SHOW_LOG];
}

function specific(output: string): Remedy[] {
  return kindOf(output)?.remedies ?? (lackedIn(output) === undefined ? [] : [GET_UV]);
}

function kindOf(output: string): Kind | undefined {
  return KINDS.find(({ said }) => said.test(output));
}

function lackedIn(output: string): string | undefined {
  const [, lacking, requested] = output.match(LACKING) ?? [];
  return lacking ?? requested;
}
