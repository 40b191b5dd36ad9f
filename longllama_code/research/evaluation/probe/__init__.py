"""The probe: finds the heads of a checkpoint that gain from memory."""
