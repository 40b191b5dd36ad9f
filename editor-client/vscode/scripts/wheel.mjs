// Builds the server's wheel into server/, with the versions that it was tested with: what the
// extension installs where no server is found, without asking any index for our own package.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";

const repository = "../..";
const python = process.env.PYTHON ?? "python3";

rmSync("server", { recursive: true, force: true });
mkdirSync("server");
execFileSync(python, ["-m", "pip", "wheel", "--quiet", "--no-deps", "-w", "server", repository], {
  stdio: "inherit",
});
cpSync(`${repository}/constraints.txt`, "server/constraints.txt");
cpSync(`${repository}/LICENSE`, "LICENSE");
