"""Reader of TypeScript and JavaScript, and resolution of their imports."""
