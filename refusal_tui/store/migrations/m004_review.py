"""Queues of rows for people to label, leases on them, and what was decided (`store/review_*.py`)."""

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE queue (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        purpose TEXT NOT NULL,          -- annotate | adjudicate
        selection TEXT NOT NULL,        -- the filter that the rows were drawn from
        population INTEGER NOT NULL,    -- rows of that selection when they were drawn
        questions TEXT NOT NULL,        -- what is asked, comma-separated (review/questions.py)
        profile TEXT NOT NULL,          -- which three classes refusal3 means
        view TEXT NOT NULL,             -- pair | prompt | response
        blind INTEGER NOT NULL,         -- judges' labels stay hidden until the row is answered
        highlight INTEGER NOT NULL,     -- judges' evidence is painted in the text
        blur INTEGER NOT NULL,          -- harmful text is shown on a key
        guidelines TEXT,                -- NULL: made from the constitution in force
        seed INTEGER NOT NULL,
        design TEXT NOT NULL,           -- JSON: the settings of the sample (review/spec.py)
        created REAL NOT NULL)""",
    # Positions are the order of the cards. A repeat shows the item of an earlier position again, to the same annotator.
    """CREATE TABLE queue_item (
        queue_id INTEGER NOT NULL REFERENCES queue(id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        item_id INTEGER NOT NULL REFERENCES item(id) ON DELETE CASCADE,
        stratum TEXT NOT NULL,          -- the draw that brought it in: random, outcome=hard, …
        inclusion REAL,                 -- probability of being drawn at all; NULL: not known
        wanted INTEGER NOT NULL,        -- how many annotators label it
        repeat_of INTEGER,              -- the earlier position
        PRIMARY KEY (queue_id, position)) WITHOUT ROWID""",
    "CREATE INDEX queue_item_item ON queue_item(item_id)",
    """CREATE TABLE lease (
        queue_id INTEGER NOT NULL,
        position INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        until REAL NOT NULL,
        PRIMARY KEY (queue_id, position, annotator),
        FOREIGN KEY (queue_id, position) REFERENCES queue_item(queue_id, position) ON DELETE CASCADE) WITHOUT ROWID""",
    # Where each annotator stands with each card now; `review_event` is the history.
    """CREATE TABLE decision (
        queue_id INTEGER NOT NULL,
        position INTEGER NOT NULL,
        annotator TEXT NOT NULL,        -- human:NAME
        state TEXT NOT NULL,            -- open | label | skip
        verdict_id INTEGER,             -- of a label
        judge_shown INTEGER NOT NULL DEFAULT 0,   -- a judge's label of this row has been on the screen
        flagged INTEGER NOT NULL DEFAULT 0,
        note TEXT,
        seconds REAL,                   -- how long the card was looked at
        event_id INTEGER NOT NULL,      -- the latest label, skip or undo (else the first event)
        PRIMARY KEY (queue_id, position, annotator),
        FOREIGN KEY (queue_id, position) REFERENCES queue_item(queue_id, position) ON DELETE CASCADE) WITHOUT ROWID""",
    "CREATE INDEX decision_annotator ON decision(queue_id, annotator, event_id)",
    "CREATE INDEX decision_verdict ON decision(verdict_id)",
    """CREATE TABLE review_event (
        id INTEGER PRIMARY KEY,
        queue_id INTEGER NOT NULL REFERENCES queue(id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        kind TEXT NOT NULL,             -- label | skip | undo | flag | unflag | note | judge_shown
        verdict_id INTEGER,
        note TEXT,
        seconds REAL,
        created REAL NOT NULL)""",
    "CREATE INDEX review_event_verdict ON review_event(verdict_id)",
    "CREATE INDEX review_event_queue ON review_event(queue_id, annotator, id)",
)
