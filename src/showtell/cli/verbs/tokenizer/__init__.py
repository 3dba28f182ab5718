"""Vocabularies: train one, tokenize with one."""
