"""The job engine: worker processes that outlive the terminal, and the two kinds of work they do."""
