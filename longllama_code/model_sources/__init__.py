"""Where models come from: names, hubs, package indexes, other programs' folders."""
