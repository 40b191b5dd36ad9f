// For tests: waiting for what happens in the background.

import { setTimeout as sleep } from "node:timers/promises";

/** Wait until something holds; only what never happens takes so long that it fails. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it does not come about: ${holds}`);
    await sleep(20);
  }
}

/** Whether a process runs; one that has ended and was not waited for yet does not. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
