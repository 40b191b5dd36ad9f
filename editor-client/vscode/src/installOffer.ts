// What is said before the server is installed for the first time, and when. Knows no editor.

const PUT_OFF_MS = 7 * 24 * 3_600_000;

const TAKES = "about 5 minutes and 1.2 GB of disk";

/** Measured on 2 busy cores with a torch for CPUs; that for CUDA brings libraries of some GB. */
export function installOffer(platform: NodeJS.Platform): string {
  const cuda =
    platform === "linux" ? ", some GB more where your package index has torch only with CUDA" : "";
  return (
    `LongLLaMA needs its server, a Python program with torch. It takes ${TAKES}${cuda}; then a ` +
    "model of 0.5 GB is fetched. All of it stays on this machine."
  );
}

/** For a folder with the server in it, which is not to run before the user trusts the folder. */
export const TRUST_OFFER =
  "LongLLaMA's server is in this folder's Python environment, from which nothing is started in " +
  `Restricted Mode. Trust the folder, or install a server of your own: ${TAKES}.`;

/** Whether to say it again, after the user put it off at a time. */
export function isDue(putOffAt: number | undefined, now: number): boolean {
  return putOffAt === undefined || now - putOffAt >= PUT_OFF_MS;
}
