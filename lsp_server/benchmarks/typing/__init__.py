"""Replays of commits, typed key by key by a simulated person."""
