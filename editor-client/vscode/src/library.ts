// The client's half of the protocol: nine tenths of our code, in a file that is read once there is a
// server to speak to, or one to install. VS Code waits for all that is read before.

import {
  type ClientCapabilities,
  type FeatureState,
  LanguageClient,
  type LanguageClientOptions,
  type ServerOptions,
  type StaticFeature,
} from "vscode-languageclient/node";

export { CloseAction, ErrorAction } from "vscode-languageclient/node";
export { fetchModel, installServer } from "./installation";
export { fetchRemedies, shortReason } from "./installFailures";

/** A client that logs what fails and shows none of it: the extension says it in plain words. */
export class QuietClient extends LanguageClient {
  constructor(id: string, name: string, server: ServerOptions, options: LanguageClientOptions) {
    super(id, name, server, options);
    this.registerFeature(new OwnCapabilities());
  }

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

/** What this client can do beyond the protocol; see docs/protocol.md. */
class OwnCapabilities implements StaticFeature {
  fillClientCapabilities(capabilities: ClientCapabilities): void {
    const longllama = { ignoredSettings: true, failures: true, didShowSuggestion: true };
    capabilities.experimental = { ...(capabilities.experimental as object), longllama };
  }

  initialize(): void {}

  getState(): FeatureState {
    return { kind: "static" };
  }

  clear(): void {}
}
