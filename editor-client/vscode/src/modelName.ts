// Which model the server asks us to name in the settings. Knows no editor.

const NAME = /^[a-z][\w.-]*$/i;

/** The name of a model that is fetched by name; a path is none: that is for the user to write. */
export function modelName(params: unknown): string | undefined {
  const model = (params as { model?: unknown } | null | undefined)?.model;
  return typeof model === "string" && NAME.test(model) ? model : undefined;
}
