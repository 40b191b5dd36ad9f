"""Work that is shared between threads: a decoder layer's products and attention."""
