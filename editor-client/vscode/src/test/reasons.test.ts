import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { advice } from "../reasons";

const ROOT = join(__dirname, "..", "..", "..");

/** Reason codes that a module of the server names in quotes, in a part of it. */
function codes(path: string, begin: string, end: string): string[] {
  const text = readFileSync(join(ROOT, path), "utf8");
  const part = text.slice(text.indexOf(begin));
  const found = part.slice(0, part.indexOf(end)).matchAll(/"([a-z_]+)"/g);
  return [...found].map(([, code]) => code ?? "");
}

test("every reason of the server has words that say what to do", () => {
  const known = [
    ...codes("lsp_server/suggestions/filters.py", "Refusal = Literal[", "\n]"),
    ...codes("longllama_code/protocol.py", "EmptyReason = Literal[", "]\n"),
    ...codes("lsp_server/status/describe.py", "REASONS:", "\n}"),
  ];
  assert.ok(known.length > 20, "the reasons were not found");
  for (const code of known) assert.notEqual(advice(code), code.replaceAll("_", " "), code);
});

test("a reason of a newer server is shown in words", () => {
  assert.equal(advice("moon_is_full"), "moon is full");
});
