// The setting longllama.enableLanguages: a language id to whether suggestions are made.

export type Languages = Record<string, boolean>;

export function isEnabled(languages: Languages, language: string): boolean {
  return languages[language] ?? languages["*"] ?? true;
}

export function toggled(languages: Languages, language: string): Languages {
  return { ...languages, [language]: !isEnabled(languages, language) };
}
