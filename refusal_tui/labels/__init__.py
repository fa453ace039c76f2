"""Value objects of judging: what a row is, what a verdict says, which labels follow from it."""
