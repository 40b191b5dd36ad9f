"""Open documents: their text as the editor has it, their files, notebooks, comments."""
