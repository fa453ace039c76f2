"""Responses of models to prompts, and prompts themselves."""
