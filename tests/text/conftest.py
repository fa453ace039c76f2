"""Hypothesis in this room: no deadlines (a busy machine is not a failure)."""

from hypothesis import settings

settings.register_profile("text", deadline=None)
settings.load_profile("text")
