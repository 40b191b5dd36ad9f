"""A team's engine, asked over HTTP, with one of this machine behind it."""
