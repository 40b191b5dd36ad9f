"""Open documents: their text as the editor sees it, notebooks, comments."""
