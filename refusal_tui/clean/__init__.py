"""Refusals out of instruction data: detect, rewrite, answer, verify, and decide."""
