// How far two works are that go on at the same time, in one line. Knows no editor.

type Name = "server" | "model";

export class Steps {
  private readonly texts: Record<Name, string> = { server: "", model: "" };
  private readonly details: Record<Name, string> = { server: "", model: "" };

  constructor(private readonly report: (line: string) => void) {}

  /** What a work does now; empty: it has ended; undefined: nothing new. */
  set(name: Name, text: string | undefined): void {
    if (text === undefined) return;
    this.texts[name] = text;
    this.details[name] = "";
    this.tell();
  }

  /** More about what it does now. */
  detail(name: Name, text: string | undefined): void {
    if (text === undefined || this.texts[name] === "") return;
    this.details[name] = text;
    this.tell();
  }

  private tell(): void {
    const { server, model } = this.texts;
    const more = this.details.server === "" ? "" : `: ${this.details.server}`;
    const both = [server && `${server}${more}`, model && `model: ${model}`];
    this.report(both.filter((text) => text !== "").join("; "));
  }
}
