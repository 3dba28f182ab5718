"""Search engines: one per file, found by name."""
