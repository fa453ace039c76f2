"""Agreement with people and how sure it is: pure numpy on confusion matrices."""
