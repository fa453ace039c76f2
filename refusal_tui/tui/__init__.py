"""The Textual app: the only place where `textual` is imported."""
