// Text that is shown where VS Code wants Markdown, as it is. Knows no editor.

/** ASCII's punctuation: what Markdown takes for its own, such as a backslash, a star or a link. */
const MARKS = /[!-/:-@[-`{-~]/g;

/**
 * Markdown that shows this text, in its paragraphs. VS Code's own `appendText` makes every blank one
 * at which no line breaks, so that long sentences break inside of words.
 */
export function plainMarkdown(text: string): string {
  const paragraphs = text.split(/\s*\n\s*/).map((paragraph) => paragraph.trim());
  return paragraphs.map((paragraph) => paragraph.replace(MARKS, "\\$&")).join("\n\n");
}
