"""Similar words and analogies."""
