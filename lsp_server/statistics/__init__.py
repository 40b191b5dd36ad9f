"""What became of suggestions, counted on this machine and never sent anywhere."""
