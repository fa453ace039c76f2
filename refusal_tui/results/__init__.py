"""Who refuses how much: tables, paired comparisons, figures and the paragraph for a paper."""
