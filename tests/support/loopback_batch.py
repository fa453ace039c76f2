"""The files and batches routes of the loopback server: an OpenAI Batch API that can expire and lose rows.

A batch stays `in_progress` until a test (or `POST /v1/batches/{id}/finish`, for a server in another process) ends it
with `finish`: no clock is involved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Complete = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(slots=True)
class BatchApi:
    """`fail_creation`: the next creation fails after the upload. `answer_of` makes a chat completion of a body."""

    answer_of: Complete
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    fail_creation: bool = False

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        """(status, JSON value or file content) of one request."""
        route, _, query = path.removeprefix("/v1/").partition("?")
        parts = route.strip("/").split("/")
        if parts == ["files"] and method == "POST":
            return 200, self._upload(_file_part(headers["content-type"], body))
        if parts[0] == "files" and parts[-1] == "content" and parts[1] in self.files:
            return 200, self.files[parts[1]]
        if parts == ["batches"] and method == "POST":
            return self._create(json.loads(body))
        if parts == ["batches"]:
            return 200, self._page(query)
        if parts[0] == "batches" and parts[1] in self.batches:
            if parts[-1] == "cancel":
                if (status := self.batches[parts[1]]["status"]) != "in_progress":
                    return 409, {"error": {"message": f"Cannot cancel a batch with status '{status}'.", "code": None}}
                self.batches[parts[1]]["status"] = "cancelled"
            if parts[-1] == "finish":
                self.finish(parts[1], **(json.loads(body) if body else {}))
            return 200, self.batches[parts[1]]
        return 404, {"error": {"message": f"nothing at {path}", "code": "not_found"}}

    def finish(
        self,
        batch_id: str,
        *,
        status: str = "completed",
        fail: list[str] | None = None,
        lose: list[str] | None = None,
        unanswered: list[str] | None = None,
    ) -> None:
        """End a batch. Custom ids in `fail` go to the error file with status 400, those in `unanswered` with the
        code `batch_expired`, those in `lose` appear nowhere."""
        batch = self.batches[batch_id]
        output, errors = [], []
        lines = self.files[batch["input_file_id"]].decode().splitlines()
        for number, line in enumerate(reversed(lines)):  # providers do not keep the order
            asked = json.loads(line)
            custom_id = asked["custom_id"]
            entry: dict[str, Any] = {"id": f"r{number}", "custom_id": custom_id, "response": None, "error": None}
            if custom_id in (lose or ()):
                continue
            if custom_id in (unanswered or ()):
                entry["error"] = {"code": "batch_expired", "message": "This request could not be executed in time."}
                errors.append(entry)
            elif custom_id in (fail or ()):
                value = {"error": {"message": "This model's maximum context length is 10 tokens.", "code": "x"}}
                entry["response"] = {"status_code": 400, "request_id": "q", "body": value}
                errors.append(entry)
            else:
                entry["response"] = {"status_code": 200, "request_id": "q", "body": self.answer_of(asked["body"])}
                output.append(entry)
        batch["status"] = status
        for name, entries in (("output_file_id", output), ("error_file_id", errors)):
            if entries:
                content = "".join(json.dumps(entry) + "\n" for entry in entries)
                batch[name] = self._upload(content.encode())["id"]
        batch["request_counts"] = {"total": len(lines), "completed": len(output), "failed": len(errors)}

    def _upload(self, content: bytes) -> dict[str, Any]:
        file_id = f"file-{len(self.files) + 1}"
        self.files[file_id] = content
        return {
            "id": file_id, "object": "file", "bytes": len(content), "created_at": 1, "filename": "batch.jsonl",
            "purpose": "batch", "status": "processed",
        }  # fmt: skip

    def _create(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        if self.fail_creation:
            self.fail_creation = False
            return 500, {"error": {"message": "The batch could not be created.", "code": "server_error"}}
        batch_id = f"batch_{len(self.batches) + 1}"
        total = len(self.files[wanted["input_file_id"]].splitlines())
        self.batches[batch_id] = {
            "id": batch_id, "object": "batch", "endpoint": wanted["endpoint"], "status": "in_progress",
            "input_file_id": wanted["input_file_id"], "completion_window": wanted["completion_window"],
            "created_at": len(self.batches) + 1, "output_file_id": None, "error_file_id": None,
            "metadata": wanted.get("metadata"), "request_counts": {"total": total, "completed": 0, "failed": 0},
        }  # fmt: skip
        return 200, self.batches[batch_id]

    def _page(self, query: str) -> dict[str, Any]:
        """Two per page, newest first: whoever looks for an orphan has to turn pages."""
        newest = list(reversed(self.batches))
        after = re.search(r"after=([\w]+)", query)
        start = newest.index(after[1]) + 1 if after else 0
        page = [self.batches[batch_id] for batch_id in newest[start : start + 2]]
        return {
            "object": "list", "data": page, "has_more": start + 2 < len(newest),
            "first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None,
        }  # fmt: skip


def _file_part(content_type: str, body: bytes) -> bytes:
    """The content of the part named `file` of a multipart form."""
    boundary = b"--" + content_type.split("boundary=", 1)[1].strip('"').encode()
    for part in body.split(boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return content.removesuffix(b"\r\n")
    raise ValueError("no file in the form")
