"""Maps of words or images."""
