"""showtell: representations that pictures and words share."""

__version__ = "0.1.0"
