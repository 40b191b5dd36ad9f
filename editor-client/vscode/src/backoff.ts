// How long to wait before a server that ended is started again. Knows no editor.

const DELAYS_MS = [500, 2_000, 5_000, 15_000];
const HEALTHY_AFTER_MS = 120_000;

/** Delays grow while the server ends soon after its start; one that lived long begins anew. */
export class Backoff {
  /** How often it ended since it last lived long. */
  ends = 0;
  private startedAt: number;

  constructor(private readonly now: () => number = Date.now) {
    this.startedAt = now();
  }

  started(): void {
    this.startedAt = this.now();
  }

  /** Milliseconds to wait; undefined once it is time to give up. */
  next(): number | undefined {
    if (this.now() - this.startedAt >= HEALTHY_AFTER_MS) this.ends = 0;
    return DELAYS_MS[this.ends++];
  }
}
