"""The LongLLaMA transformer: rotary positions, caches, attention, layers."""
