"""A service over HTTP that OpenAI's clients speak to."""
