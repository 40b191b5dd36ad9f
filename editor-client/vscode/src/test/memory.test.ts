import assert from "node:assert/strict";
import { test } from "node:test";
import { type MemoryNode, tree } from "../memory";
import type { MemoryFile } from "../protocol";

function file(path: string, change: Partial<MemoryFile> = {}): MemoryFile {
  return { path, state: "in_memory", reason: null, tokens: 10, bytes: 100, ...change };
}

/** A tree as an outline. */
function outline(nodes: MemoryNode[], indent = ""): string[] {
  return nodes.flatMap((node) => [
    `${indent}${node.label} | ${node.description}`,
    ...outline(node.children, `${indent}  `),
  ]);
}

test("an empty memory has no tree", () => {
  assert.deepEqual(tree([]), []);
});

test("files stand by state and folder, with sums and reasons", () => {
  const files = [
    file("b.py", { tokens: 1, bytes: 1500 }),
    file("src/deep/only/x.py"),
    file("src/deep/only/a.py"),
    file("src/deep/z.py"),
    file("new.py", { state: "waiting", tokens: 0 }),
    file("lib/big.py", { state: "left_out", reason: "too_large", tokens: 0, bytes: 2e6 }),
  ];
  assert.deepEqual(outline(tree(files)), [
    "In memory | 4 files, 31 tokens, 1.8 kB",
    "  src/deep | 3 files, 30 tokens, 300 B",
    "    only | 2 files, 20 tokens, 200 B",
    "      a.py | 10 tokens, 100 B",
    "      x.py | 10 tokens, 100 B",
    "    z.py | 10 tokens, 100 B",
    "  b.py | 1 token, 1.5 kB",
    "Waiting | 1 file, 100 B",
    "  new.py | 100 B",
    "Left out | 1 file, 2.0 MB",
    "  lib | 1 file, 2.0 MB",
    "    big.py | too large, 2.0 MB",
  ]);
});

test("what a row has no room for is in its tooltip: sums, and why a file is left out", () => {
  const why = "its 2,000,000 bytes are more than longllama.memory.maxFileBytes (524,288)";
  const big = file("lib/big.py", { state: "left_out", reason: "too_large", why, tokens: 0 });
  const [held, left] = tree([file("a.py"), big]);
  assert.equal(held?.tooltip, "In memory: 1 file, 10 tokens, 100 B");
  assert.equal(held?.children[0]?.tooltip, "a.py\n\n10 tokens, 100 B.");
  assert.equal(left?.children[0]?.tooltip, "lib: 1 file, 100 B");
  assert.equal(
    left?.children[0]?.children[0]?.tooltip,
    "lib/big.py\n\nIts 2,000,000 bytes are more than longllama.memory.maxFileBytes (524,288).",
  );
});

test("files know their paths, folders have none", () => {
  const [group] = tree([file("a/b.py")]);
  const [folder] = group?.children ?? [];
  assert.equal(folder?.path, undefined);
  assert.equal(folder?.children[0]?.path, "a/b.py");
});

test("twenty thousand files take no time that anybody notices", () => {
  const files = Array.from({ length: 20_000 }, (_, n) => file(`d${n % 100}/e${n % 7}/f${n}.py`));
  const before = performance.now();
  assert.equal(tree(files)[0]?.children.length, 100);
  assert.ok(performance.now() - before < 2_000);
});
