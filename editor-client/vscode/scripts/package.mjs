// Packs the extension for both marketplaces, with vsce's own packer, which ovsx calls as well. The project's
// address stands nowhere in it: whoever publishes names it (REPOSITORY=https://github.com/OWNER/NAME). Then the
// manifest has it, and the README its pictures, which a marketplace takes from there alone.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import vsce from "@vscode/vsce";

const STAGED = "dist/staged";
const FILES = [".vscodeignore", "CHANGELOG.md", "LICENSE", "media", "server"];
const BUNDLES = ["dist/extension.js", "dist/library.js"];
const FOLDER = "editor-client/vscode";
const PICTURE = /^!\[[^\]]*\]\([^)]+\)\n+/gm;

const { REPOSITORY } = process.env;

function manifest() {
  const given = JSON.parse(readFileSync("package.json", "utf8"));
  if (REPOSITORY === undefined) return given;
  return {
    ...given,
    repository: { type: "git", url: `${REPOSITORY}.git`, directory: FOLDER },
    homepage: `${REPOSITORY}#readme`,
    bugs: { url: `${REPOSITORY}/issues` },
  };
}

function readme() {
  const given = readFileSync("README.md", "utf8");
  return REPOSITORY === undefined ? given.replace(PICTURE, "") : given;
}

rmSync(STAGED, { recursive: true, force: true });
mkdirSync(join(STAGED, "dist"), { recursive: true });
for (const name of [...FILES, ...BUNDLES]) {
  cpSync(name, join(STAGED, name), { recursive: true });
}
writeFileSync(join(STAGED, "package.json"), JSON.stringify(manifest(), null, 2));
writeFileSync(join(STAGED, "README.md"), readme());
await vsce.createVSIX({
  cwd: resolve(STAGED),
  packagePath: resolve("dist/longllama-code.vsix"),
  dependencies: false,
  allowMissingRepository: true,
  ...(REPOSITORY !== undefined && {
    baseContentUrl: `${REPOSITORY}/blob/HEAD/${FOLDER}`,
    baseImagesUrl: `${REPOSITORY}/raw/HEAD/${FOLDER}`,
  }),
});
