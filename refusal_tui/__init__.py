"""A terminal workbench for refusal research on language models."""

__version__ = "0.1.0"
