"""TypeScript and JavaScript: what a text says, and which files its imports mean."""
