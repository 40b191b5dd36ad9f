"""Reader of Rust, and resolution of its paths to files."""
