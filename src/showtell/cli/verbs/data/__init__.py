"""Checks of your own data."""
