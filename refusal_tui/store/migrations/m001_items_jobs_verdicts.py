"""Datasets, prompts, items; verdicts and labels; jobs, outcomes, events, artifacts."""

STATEMENTS: tuple[str, ...] = (
    # --- what is studied -----------------------------------------------------------------------------------
    """CREATE TABLE dataset (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        adapter TEXT NOT NULL,
        adapter_version TEXT NOT NULL,
        source TEXT NOT NULL,           -- path as given, hf:owner/name, or "-"
        revision TEXT,
        sha256 TEXT,                    -- of the source file
        split TEXT,
        licence TEXT,
        redistribution TEXT,            -- full | labels-only | none
        eval_only INTEGER NOT NULL DEFAULT 0,
        options TEXT NOT NULL DEFAULT '{}',
        state TEXT NOT NULL,            -- importing | ready
        records_read INTEGER NOT NULL DEFAULT 0,   -- where an interrupted import goes on
        n_items INTEGER NOT NULL DEFAULT 0,
        n_rejected INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL)""",
    """CREATE TABLE prompt (
        id INTEGER PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,      -- sha256 of layout and text
        text TEXT NOT NULL,
        layout TEXT)                    -- JSON [[role, characters], …]; NULL: one user turn""",
    # Slim on purpose: a filter over a million rows reads this table and no text.
    """CREATE TABLE item (
        id INTEGER PRIMARY KEY,
        dataset_id INTEGER NOT NULL REFERENCES dataset(id),
        key TEXT NOT NULL,
        prompt_id INTEGER NOT NULL REFERENCES prompt(id),
        model TEXT,
        split TEXT,
        category TEXT,
        prompt_chars INTEGER NOT NULL,
        response_chars INTEGER,         -- NULL: prompt only; 0: the model said nothing
        content_hash BLOB NOT NULL,     -- sha256 of prompt, response and model
        UNIQUE (dataset_id, key))""",
    "CREATE INDEX item_dataset ON item(dataset_id)",
    "CREATE INDEX item_prompt ON item(prompt_id)",
    # meta before response: a filter over meta need not follow the overflow pages of long responses.
    """CREATE TABLE item_body (
        item_id INTEGER PRIMARY KEY REFERENCES item(id) ON DELETE CASCADE,
        meta TEXT,                      -- JSON object
        response TEXT)""",
    # Prompts are indexed once, however many responses they have. Every row of the content tables is in the
    # index, empty ones too, or its integrity check (`doctor --deep`) would call them missing.
    "CREATE VIRTUAL TABLE prompt_fts USING fts5(text, content='prompt', content_rowid='id', columnsize=0)",
    """CREATE VIRTUAL TABLE response_fts USING
        fts5(response, content='item_body', content_rowid='item_id', columnsize=0)""",
    """CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY,
        dataset_id INTEGER NOT NULL REFERENCES dataset(id) ON DELETE CASCADE,
        line INTEGER NOT NULL,
        reason TEXT NOT NULL,
        excerpt TEXT NOT NULL)""",
    "CREATE INDEX quarantine_dataset ON quarantine(dataset_id)",
    "CREATE TABLE selection (name TEXT PRIMARY KEY, expression TEXT NOT NULL, created REAL NOT NULL)",
    # --- what is said about it -----------------------------------------------------------------------------
    """CREATE TABLE verdict (
        id INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL REFERENCES item(id) ON DELETE CASCADE,
        annotator TEXT NOT NULL,        -- judge:NAME | human:NAME
        question_set TEXT NOT NULL,
        version TEXT NOT NULL,
        profile TEXT NOT NULL,
        answers TEXT NOT NULL,          -- JSON {question: [value, probability]}; {}: retracted
        spans TEXT,                     -- JSON [[field, start, end, rule], …]
        raw TEXT,
        rationale TEXT,
        seen_judge INTEGER NOT NULL DEFAULT 0,
        job_id INTEGER,
        created REAL NOT NULL)""",
    "CREATE INDEX verdict_item ON verdict(item_id)",
    """CREATE TRIGGER verdict_is_append_only BEFORE UPDATE ON verdict
        BEGIN SELECT RAISE(ABORT, 'verdicts are never edited, only superseded'); END""",
    # The labels of each annotator's latest verdict; rebuilt from verdicts at any time.
    """CREATE TABLE label (
        item_id INTEGER NOT NULL REFERENCES item(id) ON DELETE CASCADE,
        head TEXT NOT NULL,
        annotator TEXT NOT NULL,
        profile TEXT NOT NULL DEFAULT '',
        value TEXT NOT NULL,
        probability REAL,
        verdict_id INTEGER NOT NULL,
        derivation TEXT NOT NULL,
        PRIMARY KEY (item_id, head, annotator, profile)) WITHOUT ROWID""",
    "CREATE INDEX label_value ON label(head, value, annotator, item_id)",
    # --- the work ------------------------------------------------------------------------------------------
    """CREATE TABLE job (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        title TEXT NOT NULL,
        lane TEXT NOT NULL,
        state TEXT NOT NULL,
        wish TEXT,                      -- pause | cancel: what a face asks of the worker
        spec TEXT NOT NULL,
        spec_version INTEGER NOT NULL,
        selection TEXT NOT NULL DEFAULT '',
        total INTEGER,                  -- rows, or steps of a ComputeJob; NULL: not known yet
        row_limit INTEGER,              -- a pilot stops after so many rows
        run INTEGER NOT NULL DEFAULT 0, -- fencing token: raised by every claim
        n_ok INTEGER NOT NULL DEFAULT 0,
        n_failed INTEGER NOT NULL DEFAULT 0,
        n_unparsable INTEGER NOT NULL DEFAULT 0,
        cursor INTEGER NOT NULL DEFAULT 0,      -- every row before this position has its outcome
        done INTEGER NOT NULL DEFAULT 0,        -- steps of a ComputeJob
        step TEXT NOT NULL DEFAULT '',          -- what a ComputeJob is doing
        active_seconds REAL NOT NULL DEFAULT 0, -- of earlier runs
        created REAL NOT NULL,
        started REAL,
        finished REAL,
        note TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX job_lane ON job(lane, state)",
    """CREATE TABLE worker (
        job_id INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE,
        run INTEGER NOT NULL,
        host TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        pid INTEGER NOT NULL,
        start_ticks INTEGER NOT NULL,   -- with the boot id: a pid that was given to another process is seen
        started REAL NOT NULL,
        heartbeat REAL NOT NULL,
        started_monotonic REAL NOT NULL,    -- comparable within one boot, whatever the clock does
        heartbeat_monotonic REAL NOT NULL,
        ended REAL,
        exit_code INTEGER,
        PRIMARY KEY (job_id, run)) WITHOUT ROWID""",
    """CREATE TABLE job_item (
        job_id INTEGER NOT NULL, position INTEGER NOT NULL, item_id INTEGER NOT NULL,
        PRIMARY KEY (job_id, position)) WITHOUT ROWID""",
    """CREATE TABLE outcome (
        job_id INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE,
        item_id INTEGER NOT NULL,
        stage TEXT NOT NULL DEFAULT '',
        k INTEGER NOT NULL DEFAULT 0,   -- which of several samples, models or votes
        state TEXT NOT NULL,            -- ok | failed | unparsable
        attempts INTEGER NOT NULL DEFAULT 1,
        error_class TEXT,
        error TEXT,
        output TEXT,                    -- JSON; NULL where the result is a verdict or an item
        raw TEXT,                       -- an answer that could not be read
        run INTEGER NOT NULL,
        created REAL NOT NULL,
        PRIMARY KEY (job_id, item_id, stage, k)) WITHOUT ROWID""",
    "CREATE INDEX outcome_trouble ON outcome(job_id, error_class) WHERE state <> 'ok'",
    "CREATE INDEX outcome_item ON outcome(item_id)",
    """CREATE TABLE metric (
        job_id INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE,
        name TEXT NOT NULL, step INTEGER NOT NULL, value REAL NOT NULL, created REAL NOT NULL)""",
    "CREATE INDEX metric_job ON metric(job_id, name, step)",
    """CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        job_id INTEGER REFERENCES job(id) ON DELETE CASCADE,
        level TEXT NOT NULL, code TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL)""",
    "CREATE INDEX event_job ON event(job_id, id)",
    """CREATE TABLE artifact (
        id INTEGER PRIMARY KEY,
        job_id INTEGER REFERENCES job(id) ON DELETE SET NULL,
        path TEXT NOT NULL UNIQUE,      -- relative to the workspace where it lies inside
        kind TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        made_from TEXT NOT NULL DEFAULT '{}',
        created REAL NOT NULL)""",
)
