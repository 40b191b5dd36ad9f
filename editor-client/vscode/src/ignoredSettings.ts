// Which settings that are not used the user is told of, and when that is over. Knows no editor.

import type { IgnoredSetting } from "./protocol";

export class IgnoredSettings {
  private told = new Set<string>();

  /** What is new among the settings that are not used now, and whether all were mended since. */
  note(ignored: readonly IgnoredSetting[]): { news: IgnoredSetting[]; areMended: boolean } {
    const news = ignored.filter(({ message }) => !this.told.has(message));
    const areMended = this.told.size > 0 && ignored.length === 0;
    // What was mended and is wrong again is told again.
    this.told = new Set(ignored.map(({ message }) => message));
    return { news, areMended };
  }
}
