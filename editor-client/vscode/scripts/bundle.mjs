// Bundles the extension into one file, and what it loads later into another; with --tests, each test
// into a file of its own.
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const shared = { bundle: true, platform: "node", target: "node20", format: "cjs" };

async function bundleExtension() {
  await build({
    ...shared,
    entryPoints: ["src/extension.ts", "src/library.ts"],
    outdir: "dist",
    external: ["vscode", "./library.js"],
    minify: true,
  });
}

async function bundleTests() {
  rmSync("dist-test", { recursive: true, force: true });
  const tests = readdirSync("src/test").filter((name) => name.endsWith(".test.ts"));
  await build({
    ...shared,
    entryPoints: tests.map((name) => `src/test/${name}`),
    outdir: "dist-test",
    sourcemap: "inline",
  });
}

await (process.argv.includes("--tests") ? bundleTests() : bundleExtension());
