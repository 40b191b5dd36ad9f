// The client's half of the protocol: nine tenths of our code, in a file that is read once there is a
// server to speak to. VS Code waits for all that is read before.

export { CloseAction, ErrorAction, LanguageClient } from "vscode-languageclient/node";
