"""Exports: a selection as files that others can train on, and that import again without loss."""
