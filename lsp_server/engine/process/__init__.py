"""Engine process: the only part of the server that imports torch."""
