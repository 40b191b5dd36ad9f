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

/** What there is without that which could not be fetched. */
export type Left =
  | "no server"
  | "a server that works"
  /** It starts, and says itself what it lacks. */
  | "a server that fails"
  | "a server that ends"
  | "another model";

interface Kind {
  /** What pip, uv, `longllama pull` or the system says of it. */
  said: RegExp;
  reason: string;
  /** Whether it tells of where packages and models come from. */
  isOfNetwork?: true;
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
    reason: "the certificate of SOURCE is not trusted here, often as a proxy sends its own.",
    remedies: [SET_PROXY],
  },
  {
    said: /connection broken by|establish a new connection|name resolution|getaddrinfo|dns error|sending request|Failed to fetch|Network is unreachable|Connection (?:refused|reset|timed out)|Read timed out|could not be (?:reached|fetched)/i,
    reason: "SOURCE cannot be reached; the log says which.",
    isOfNetwork: true,
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

/** What helps without a network. */
const OFFLINE: Partial<Record<Left, { advice: string; remedies: Remedy[] }>> = {
  "no server": { advice: "name a server that you have.", remedies: [SET_PATH] },
  "a server that ends": {
    advice: "name another server, if you have one.",
    remedies: [SET_PATH],
  },
  "another model": {
    advice: "choose a model that is on this machine.",
    remedies: [CHOOSE_MODEL],
  },
};

/** Why it failed; else the last line that says something. */
export function shortReason(output: string, left: Left): string {
  const kind = kindOf(output);
  if (kind !== undefined) {
    const source = left === "another model" ? "what the model comes from" : "the package index";
    const advice = kind.isOfNetwork && OFFLINE[left]?.advice;
    return kind.reason.replace("SOURCE", source) + (advice ? ` Without a network, ${advice}` : "");
  }
  const lacking = lackedIn(output);
  if (lacking !== undefined) return `the package index lacks ${lacking}, or cannot be reached.`;
  const lines = output.split("\n").map((line) => line.trim());
  const last = lines.filter((line) => /\w/.test(line)).at(-1) ?? "";
  return last.length > MAX_REASON_CHARS ? `${last.slice(0, MAX_REASON_CHARS)} …` : last;
}

/** What helps where something was not fetched; `again` tries once more. */
export function fetchRemedies(output: string, again: Remedy, left: Left): Remedy[] {
  const found = specific(output, left);
  const first = found.length === 0 && left === "another model" ? [CHOOSE_MODEL] : found;
  return [again, ...first, COPY_DIAGNOSIS, SHOW_LOG];
}

function specific(output: string, left: Left): Remedy[] {
  const kind = kindOf(output);
  if (kind === undefined) return lackedIn(output) === undefined ? [] : [GET_UV];
  return [...kind.remedies, ...((kind.isOfNetwork && OFFLINE[left]?.remedies) || [])];
}

function kindOf(output: string): Kind | undefined {
  return KINDS.find(({ said }) => said.test(output));
}

function lackedIn(output: string): string | undefined {
  const [, lacking, requested] = output.match(LACKING) ?? [];
  return lacking ?? requested;
}
