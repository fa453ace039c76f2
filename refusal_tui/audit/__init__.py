"""Can this labelled data be trusted? Duplicates, personal data, distributions, and the label doctor."""
