"""The image library: check it, describe it, drop vectors from it."""
