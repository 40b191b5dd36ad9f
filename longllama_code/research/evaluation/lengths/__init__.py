"""How a model fares as its memory or its context grows."""
