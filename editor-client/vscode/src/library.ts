// The client's half of the protocol: nine tenths of our code, in a file that is read once there is a
// server to speak to. VS Code waits for all that is read before.

import { LanguageClient } from "vscode-languageclient/node";

export { CloseAction, ErrorAction } from "vscode-languageclient/node";

/** A client that logs what fails and shows none of it: the extension says it in plain words. */
export class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }

  override warn(message: string, data?: unknown): void {
    super.warn(message, data, false);
  }

  override info(message: string, data?: unknown): void {
    super.info(message, data, false);
  }
}
