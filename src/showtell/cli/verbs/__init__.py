"""Verbs of the command line: one file per verb, one folder per group of verbs."""
