// Builds the server's wheel into server/, with the versions that it was tested with: what the
// extension installs where no server is found, without asking any index for our own package.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";

const repository = "../..";
const PYTHONS = [`${repository}/.venv/bin/python`, `${repository}/.venv/Scripts/python.exe`];
const ON_PATH = ["python3", "python", "python3.13", "python3.12", "python3.11", "python3.10"];
const CAN_BUILD = "import pip, sys; sys.exit(sys.version_info < (3, 10))";

/** That of the variable PYTHON, of the repository's environment, or of the PATH. */
function python() {
  const { PYTHON } = process.env;
  const candidates = PYTHON ? [PYTHON] : [...PYTHONS, ...ON_PATH];
  const found = candidates.find(canBuild);
  if (found !== undefined) return found;
  const needed = "Python 3.10 or newer with pip builds the server's wheel";
  throw new Error(`${needed}; none of these is one: ${candidates.join(", ")}. Set PYTHON to one.`);
}

function canBuild(program) {
  try {
    execFileSync(program, ["-c", CAN_BUILD], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function build() {
  rmSync("server", { recursive: true, force: true });
  mkdirSync("server");
  const wheel = ["-m", "pip", "wheel", "--quiet", "--no-deps", "-w", "server", repository];
  execFileSync(python(), wheel, { stdio: "inherit" });
  cpSync(`${repository}/constraints.txt`, "server/constraints.txt");
  cpSync(`${repository}/LICENSE`, "LICENSE");
}

try {
  build();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
