"""How a model writes: token by token, to where the suggestion ends."""
