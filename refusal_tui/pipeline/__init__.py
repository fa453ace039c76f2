"""Several jobs as one graph: from sources to the final dataset, by one command."""
