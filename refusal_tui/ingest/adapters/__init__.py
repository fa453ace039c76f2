"""One file per dataset: its columns, its label maps, its licence, and how a row becomes items."""
