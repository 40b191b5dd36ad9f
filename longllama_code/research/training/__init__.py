"""Training: continued pre-training with cross-batch attention (FoT paper, section 3.2)."""
