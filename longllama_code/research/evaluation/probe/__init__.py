"""The probe: which heads of a checkpoint are worth giving memory to."""
