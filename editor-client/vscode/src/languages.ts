// The setting longllama.enableLanguages: a language id to whether suggestions are made.

export type Languages = Record<string, boolean>;

export function isEnabled(languages: Languages, language: string): boolean {
  return languages[language] ?? languages["*"] ?? true;
}

/**
 * What one place of settings says once a language is turned off or on; undefined: nothing.
 * An entry that says no more than the others do is not left behind.
 *
 * @param own what that place says now
 * @param below what the places say that it overrides
 */
export function toggled(
  own: Languages,
  below: Languages,
  language: string,
  isOn: boolean,
): Languages | undefined {
  const { [language]: _, ...others } = own;
  const isSaidAnyway = isEnabled({ ...below, ...others }, language) === isOn;
  const wanted = isSaidAnyway ? others : { ...others, [language]: isOn };
  return Object.keys(wanted).length === 0 ? undefined : wanted;
}

interface Contributor {
  contributes?: { languages?: { id?: string; aliases?: string[] }[] };
}

/** A language's name for people, such as "Python", from what extensions say; else its id. */
export function nameOf(language: string, contributors: readonly Contributor[]): string {
  const declared = contributors.flatMap((one) => one.contributes?.languages ?? []);
  const named = declared.find(({ id, aliases }) => id === language && aliases?.[0] !== undefined);
  return named?.aliases?.[0] ?? language;
}
