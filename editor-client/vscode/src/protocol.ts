// What the server tells about itself: plain values, as they come over the wire.

import type { Languages } from "./languages";

export interface Files {
  in_memory: number;
  waiting: number;
  left_out: number;
  tokens: number;
}

export interface Status {
  kind: "Normal" | "Warning" | "Error" | "Inactive";
  phase: "loading" | "indexing" | "ready" | "paused" | "off" | "failed";
  message: string;
  files: Files;
  engine_restarts: number;
  last_reason: string | null;
  tokens_per_second?: number | null;
  seconds_left?: number | null;
  /** How much of the repository is read, 0 to 1; null while only an edited file is read again. */
  progress?: number | null;
  /** Language ids to whether suggestions are made, as all settings together say. */
  languages?: Languages;
  /** Settings that are not used, each with what is wrong and what helps. */
  ignored_settings?: IgnoredSetting[];
  /** Minutes for which typing requests no suggestions. */
  snooze_minutes_left?: number | null;
}

export interface IgnoredSetting {
  /** The full name, such as longllama.trigger.mode. */
  key: string;
  message: string;
}

export interface MemoryFile {
  path: string;
  state: "in_memory" | "waiting" | "left_out";
  reason: string | null;
  /** The reason in words, with the setting that decides it; absent from older servers. */
  why?: string | null;
  tokens: number;
  bytes: number;
}

export interface Source {
  path: string;
  first_line: number;
  last_line: number;
  mass: number;
}

/** A definition of another file that the model was shown. */
export interface Definition {
  path: string;
  name: string;
  first_line: number;
  last_line: number;
  reason: string;
  is_named: boolean;
  /** Share of what the suggestion drew on, 0 to 1. */
  share?: number | null;
}

export interface Explanation {
  id: string;
  /** The suggestion that is explained. */
  text?: string | null;
  reason: string | null;
  sources: Source[];
  definitions: Definition[];
  /** Share of the model itself and of the open file, 0 to 1. */
  ownShare?: number | null;
}

/** What was removed from disk, and what stays as other windows use it. */
export interface ClearedStore {
  n_bytes: number;
  kept_bytes: number;
  /** Why nothing was removed. */
  problem: string | null;
}

/** What became of suggestions; `name` says of which, where it is a group. */
export interface Counts {
  name?: string;
  shown: number;
  accepted: number;
  partly_accepted: number;
  typed_out: number;
  typed_over: number;
  left: number;
  open: number;
  after_30_s: { there: number; gone: number };
  after_5_min: { there: number; gone: number };
}

export interface Statistics {
  /** Whether anything is counted. */
  enabled: boolean;
  total: Counts;
  languages: Counts[];
  lengths: Counts[];
  latencies: Counts[];
  /** Editors over LSP, and clients over HTTP, of which is known what they were sent. */
  clients: Counts[];
  /** The oldest first. */
  days: Counts[];
}

/** How many suggestions were removed from the statistics; null: they cannot be cleared. */
export interface Cleared {
  n_removed: number | null;
}

export interface Diagnosis {
  ok: boolean;
  text: string;
}

export const STATUS = "longllama/status";
export const DID_MOVE_CURSOR = "longllama/didMoveCursor";
export const STATUS_CHANGED = "longllama/didChangeStatus";
export const MEMORY = "longllama/memory";
export const EXPLAIN = "longllama/explain";
export const DIAGNOSE = "longllama/diagnose";
export const STATISTICS = "longllama/statistics";
export const CLEARED_STATISTICS = "longllama/clearStatistics";
export const DID_SHOW = "longllama/didShowSuggestion";
export const DID_PARTIALLY_ACCEPT = "longllama/didPartiallyAcceptSuggestion";
export const CLEARED_STORE = "longllama/clearStore";
/** Asked by the server; answered with whether the setting was changed. */
export const CHOOSE_MODEL = "longllama/chooseModel";
