"""Parts of a model that are fitted to source trees: the copy gate, the table of memory heads."""
