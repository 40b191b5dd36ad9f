"""LSP clients without an editor: a headless client, and recording and replaying of sessions."""
