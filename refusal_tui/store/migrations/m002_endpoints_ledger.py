"""End points, the ledger of requests, kept answers, provider batches, waits that survive a restart."""

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE endpoint (
        name TEXT PRIMARY KEY,
        preset TEXT NOT NULL,
        base_urls TEXT NOT NULL,        -- JSON list: replicas of one model
        model TEXT NOT NULL,
        key_env TEXT,                   -- the name of the environment variable, never the key
        options TEXT NOT NULL DEFAULT '{}',
        capabilities TEXT,              -- JSON, as probed
        probed REAL,
        created REAL NOT NULL) WITHOUT ROWID""",
    # Append-only: what was asked and paid for is the sum of attempts, not of results.
    """CREATE TABLE attempt (
        id INTEGER PRIMARY KEY,
        job_id INTEGER NOT NULL,
        item_id INTEGER NOT NULL,
        stage TEXT NOT NULL DEFAULT '',
        k INTEGER NOT NULL DEFAULT 0,
        n INTEGER NOT NULL,             -- 1: the first try of this row
        endpoint TEXT NOT NULL,
        base_url TEXT NOT NULL,
        model TEXT NOT NULL,
        started REAL NOT NULL,
        ended REAL NOT NULL,
        status_code INTEGER,
        error_class TEXT,               -- NULL: answered
        retry_after REAL,               -- seconds
        prompt_tokens INTEGER,
        completion_tokens INTEGER,
        cost_usd REAL,                  -- NULL: unknown, never 0
        request_hash BLOB,
        raw_gz BLOB)""",
    "CREATE INDEX attempt_job ON attempt(job_id, item_id, stage, k)",
    """CREATE TABLE request_cache (
        hash BLOB PRIMARY KEY,
        response_gz BLOB NOT NULL,
        usage TEXT NOT NULL,            -- JSON [prompt_tokens, completion_tokens]
        created REAL NOT NULL,
        hits INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    """CREATE TABLE batch (
        key TEXT PRIMARY KEY,           -- ours; also in the provider's metadata, to find orphans again
        job_id INTEGER NOT NULL,
        provider TEXT NOT NULL,         -- the name of the end point
        provider_batch_id TEXT,
        state TEXT NOT NULL,            -- submitting | submitted | finished | merged | failed
        input_path TEXT NOT NULL,
        input_sha TEXT NOT NULL,
        n INTEGER NOT NULL,
        submitted REAL,
        polled REAL,
        output_path TEXT,
        note TEXT NOT NULL DEFAULT '') WITHOUT ROWID""",
    "CREATE INDEX batch_job ON batch(job_id)",
    """CREATE TABLE backoff (
        job_id INTEGER NOT NULL, item_id INTEGER NOT NULL, stage TEXT NOT NULL DEFAULT '',
        k INTEGER NOT NULL DEFAULT 0,
        not_before REAL NOT NULL,       -- unix time: a restart does not shorten the wait
        attempts INTEGER NOT NULL,
        PRIMARY KEY (job_id, item_id, stage, k)) WITHOUT ROWID""",
)
