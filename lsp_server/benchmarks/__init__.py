"""Published benchmarks, run on the real server as an editor would use it."""
