"""Files made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from refusal_tui.ingest.items import Record, Rejected
from refusal_tui.ingest.readers import open_source

Rows = list[Record | Rejected]


@pytest.fixture
def rows_of(tmp_path: Path) -> Callable[..., Rows]:
    """All rows of a file with this content."""

    def read(content: bytes | str, name: str = "data.jsonl", **options: object) -> Rows:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(open_source(path, **options))  # type: ignore[arg-type]

    return read
