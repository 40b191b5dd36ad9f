// Silence while typing, for some minutes. Knows no editor.

import { plural } from "./numbers";
import type { Condition } from "./status";

export const MINUTES = [5, 15, 60] as const;

/** What the palette offers: the times, and the end where it is on. */
export function snoozeChoices(condition: Condition): { label: string; minutes: number }[] {
  const times = MINUTES.map((minutes) => ({ label: plural(minutes, "minute"), minutes }));
  const end = { label: "Show suggestions again now", minutes: 0 };
  return minutesLeft(condition) === undefined ? times : [end, ...times];
}

/** Minutes for which suggestions are snoozed; undefined where they are not. */
export function minutesLeft(condition: Condition): number | undefined {
  return ("files" in condition ? condition.snooze_minutes_left : undefined) ?? undefined;
}
