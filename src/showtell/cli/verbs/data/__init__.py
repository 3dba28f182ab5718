"""Your own data: check it, convert it, draw some."""
