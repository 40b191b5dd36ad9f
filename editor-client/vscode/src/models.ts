// The models that can be chosen, as `longllama models --json` lists them. Knows no editor.

import { bytes } from "./numbers";

interface Listed {
  name: string;
  aliases: string[];
  summary: string;
  licence: string;
  folder: string | null;
  fetch_bytes: number | null;
}

/** A model of another program on this machine. */
interface Local {
  name: string;
  path: string;
  /** Why it cannot be run; empty if it can. */
  refusal: string;
}

export interface Model {
  /** What the setting longllama.model.path is to be. */
  path: string;
  label: string;
  /** Whether it is here, or how much is to be fetched. */
  description: string;
  detail: string;
  isHere: boolean;
}

/** What can be used at once comes first; what cannot be fetched by its name alone is left out. */
export function modelsIn(output: string): Model[] {
  const json = output.slice(output.indexOf("{")); // warnings may stand before it
  const { models, local } = JSON.parse(json) as { models: Listed[]; local: Local[] };
  const listed = models.filter((one) => one.folder !== null || one.fetch_bytes !== null);
  const all = [...listed.map(ofCatalog), ...local.filter((one) => !one.refusal).map(ofOther)];
  return [...all.filter((one) => one.isHere), ...all.filter((one) => !one.isHere)];
}

function ofCatalog({ name, summary, folder, fetch_bytes: size }: Listed): Model {
  const isHere = folder !== null;
  const description = isHere ? "on this machine" : `${bytes(size ?? 0)} to fetch`;
  const detail = summary.replace(/ [\d.]+ [MG]B to fetch,?/, ""); // the description has it
  return { path: name, label: name, description, detail, isHere };
}

function ofOther({ name, path }: Local): Model {
  return { path: name, label: name, description: "on this machine", detail: path, isHere: true };
}
