// What is said before the server is installed for the first time, and when. Knows no editor.

const PUT_OFF_MS = 7 * 24 * 3_600_000;

/** Measured on 2 busy cores with a torch for CPUs; that for CUDA brings libraries of some GB. */
export function installOffer(platform: NodeJS.Platform): string {
  const cuda =
    platform === "linux" ? ", some GB more where your package index has torch only with CUDA" : "";
  return (
    "LongLLaMA needs its server, a Python program with torch. It takes about 5 minutes and 1.2 GB " +
    `of disk${cuda}; then a model of 0.5 GB is fetched. All of it stays on this machine.`
  );
}

/** Whether to say it again, after the user put it off at a time. */
export function isDue(putOffAt: number | undefined, now: number): boolean {
  return putOffAt === undefined || now - putOffAt >= PUT_OFF_MS;
}
