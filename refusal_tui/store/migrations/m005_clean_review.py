"""What people decide about the rows that a cleaning job has made."""

STATEMENTS: tuple[str, ...] = (
    # Append-only, like verdicts: a later decision of the same person supersedes an earlier one, "undo" names one that
    # no longer holds. The item keeps the model's own wording; an edit stands here.
    """CREATE TABLE clean_decision (
        id INTEGER PRIMARY KEY,
        job_id INTEGER NOT NULL,
        item_id INTEGER NOT NULL REFERENCES item(id) ON DELETE CASCADE,
        annotator TEXT NOT NULL,        -- human:NAME
        decision TEXT NOT NULL,         -- accept | edit | reject | skip | undo
        rewritten TEXT,                 -- a person's wording; NULL: the model's
        undoes INTEGER,                 -- the decision that an undo takes back
        created REAL NOT NULL)""",
    "CREATE INDEX clean_decision_item ON clean_decision(item_id, annotator)",
    "CREATE INDEX clean_decision_job ON clean_decision(job_id)",
    "CREATE UNIQUE INDEX clean_decision_undone ON clean_decision(undoes) WHERE undoes IS NOT NULL",
    """CREATE TRIGGER clean_decision_is_append_only BEFORE UPDATE ON clean_decision
        BEGIN SELECT RAISE(ABORT, 'decisions are never edited, only superseded'); END""",
)
