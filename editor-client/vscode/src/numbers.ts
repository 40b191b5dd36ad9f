// Numbers and codes as people read them.

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

export function compact(value: number): string {
  if (value < 1000) return `${value}`;
  const thousands = value / 1000;
  return `${thousands < 100 ? thousands.toFixed(1) : Math.round(thousands)}k`;
}

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(1)} GB`;
}

export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** A reason code of the server, such as too_large. */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}

/** A text that begins with a capital and ends with a full stop. */
export function sentence(text: string): string {
  const isEnded = text === "" || /[.!?]$/.test(text);
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${isEnded ? "" : "."}`;
}
