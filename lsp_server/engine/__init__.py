"""Engine: its process, and the server's client of it, local, shared or a team's."""
