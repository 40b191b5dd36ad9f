"""Reading what clients send: headers, JSON, and values that the protocol's types do not know."""
