"""What the tables are, oldest migration first: one file each, run by `store/schema.py`."""

from refusal_tui.store.migrations import (
    m001_items_jobs_verdicts,
    m002_endpoints_ledger,
    m003_units_settings,
    m004_review,
    m005_clean_review,
)

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (module.__name__.rpartition(".")[2], module.STATEMENTS)
    for module in (
        m001_items_jobs_verdicts,
        m002_endpoints_ledger,
        m003_units_settings,
        m004_review,
        m005_clean_review,
    )
)
