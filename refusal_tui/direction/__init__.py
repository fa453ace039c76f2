"""Refusal directions: found with the method of Arditi et al. (NeurIPS 2024), explained, and only ever reversible."""
