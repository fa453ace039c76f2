"""Pure functions on text: the safe door to the terminal, masking of secrets, normalisation before matching."""
