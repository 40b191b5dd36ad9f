"""What a repository defines, what its files import, and what of it a cursor needs to see."""
