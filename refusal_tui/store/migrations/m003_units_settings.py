"""Several outcomes per item; settings of the whole workspace."""

STATEMENTS: tuple[str, ...] = (
    # Outcomes per item: votes of a panel, samples of models. `total` counts outcomes, `row_limit` items.
    "ALTER TABLE job ADD COLUMN units INTEGER NOT NULL DEFAULT 1",
    # What belongs to the whole workspace: the constitution in force, the secret of the judges' fences.
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
