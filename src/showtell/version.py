"""The version of showtell."""

__version__ = "0.1.0"
