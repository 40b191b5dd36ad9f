"""Client of a team's engine over HTTP, with a local engine as its fallback."""
