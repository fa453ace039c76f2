"""The workspace: one SQLite file and its folder. Standard library only, so that faces start fast."""
