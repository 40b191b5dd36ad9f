"""The server's status: its report and announcement, its words, and what `diagnose` checks."""
