"""Judges: who refuses, as said by rules, models or classifiers."""
