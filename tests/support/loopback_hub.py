"""A Hugging Face Hub of our own, on this machine alone: what huggingface_hub asks of it to create, look and commit.

It speaks the end points that the client calls (read in huggingface_hub 2.4: `hf_api.py`, `_commit_api.py`, `lfs.py`),
keeps what arrives, and can be told to refuse. The front matter of a card is read as YAML, as the Hub does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

TOKEN = "hf_LoopbackTokenOfNobody0001"


@dataclass
class Repo:
    private: bool = True
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=lambda: ["0" * 40])
    messages: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """`refuses`: step -> (status, message); the steps are look, create, validate, preupload, batch, upload, commit.
    `hangs_up`: the connection breaks when a commit has been made, before it is told."""

    address: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    received: list[bytes] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    hangs_up: bool = False

    def has(self, repo: str, files: Mapping[str, str] | None = None, *, private: bool = True) -> Repo:
        """A repository that is there already."""
        self.repos[repo] = Repo(private, {name: text.encode() for name, text in (files or {}).items()})
        return self.repos[repo]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(_Handler):
        state = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        repo = self.path.removeprefix("/api/models/").partition("?")[0].partition("/revision/")[0]
        if not self._welcome("look"):
            return
        there = self.state.repos.get(repo)
        if there is None:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        card = _front_matter(there.files.get("README.md", b"").decode())
        self._answer(200, {
            "id": repo, "sha": there.commits[-1], "private": there.private, "cardData": card or None,
            "siblings": [{"rfilename": name} for name in (".gitattributes", *there.files)],
        })  # fmt: skip

    def do_POST(self) -> None:
        path, hub = self.path.partition("?")[0], self.state
        body = self._body()
        if path == "/api/repos/create":
            if self._welcome("create"):
                asked = json.loads(body)
                repo = f"{asked['organization']}/{asked['name']}"
                if repo in hub.repos:
                    self._answer(409, {"error": "You already created this model repo"})
                    return
                hub.repos[repo] = Repo(asked.get("visibility") == "private")
                self._answer(200, {"url": f"{hub.address}/{repo}"})
        elif path == "/api/validate-yaml":
            if self._welcome("validate"):
                found = _front_matter(json.loads(body)["content"])
                wrong = [] if isinstance(found, dict) else [{"message": "no metadata"}]
                self._answer(400 if wrong else 200, {"errors": wrong, "warnings": []})
        elif "/preupload/" in path:
            if self._welcome("preupload"):
                known = hub.repos[path.removeprefix("/api/models/").partition("/preupload/")[0]].files
                self._answer(200, {"files": [_mode(file["path"], known) for file in json.loads(body)["files"]]})
        elif path.endswith(".git/info/lfs/objects/batch"):
            if self._welcome("batch"):
                put = [{"oid": one["oid"], "size": one["size"],
                        "actions": {"upload": {"href": f"{hub.address}/lfs/{one['oid']}"}}}
                       for one in json.loads(body)["objects"]]  # fmt: skip
                self._answer(200, {"transfer": "basic", "objects": put})
        elif self._welcome("commit"):
            self._commit(path.removeprefix("/api/models/").partition("/commit/")[0], body)

    def do_PUT(self) -> None:
        """As the real one, the storage of weights is asked without the token."""
        body = self._body()
        self.state.asked.append("upload")
        if "upload" in self.state.refuses:
            self._answer(self.state.refuses["upload"][0], {})
            return
        self.state.blobs[self.path.removeprefix("/lfs/")] = body
        self._answer(200, {})

    def _commit(self, repo: str, body: bytes) -> None:
        there = self.state.repos[repo]
        head, *operations = (json.loads(line) for line in body.splitlines())
        if head["value"].get("parentCommit", there.commits[-1]) != there.commits[-1]:
            self._answer(412, {"error": "A commit has happened since"})
            return
        for operation in operations:
            value = operation["value"]
            content = (
                base64.b64decode(value["content"]) if operation["key"] == "file" else self.state.blobs[value["oid"]]
            )
            there.files[value["path"]] = content
        there.commits.append(hashlib.sha1(body).hexdigest())
        there.messages.append(head["value"]["summary"])
        if self.state.hangs_up:
            self.close_connection = True
            return
        oid = there.commits[-1]
        self._answer(200, {"success": True, "commitOid": oid, "commitUrl": f"{self.state.address}/{repo}/commit/{oid}"})

    def _welcome(self, step: str) -> bool:
        """Whether the step may go on; the answer is written where it may not."""
        hub = self.state
        hub.asked.append(step)
        token = (self.headers["authorization"] or "").removeprefix("Bearer ") or None
        hub.tokens.add(token)
        if token != TOKEN:
            self._answer(401, {}, {"X-Error-Message": f"Invalid credentials: {token}"})
            return False
        if step in hub.refuses:
            status, message = hub.refuses[step]
            self._answer(status, {"error": message}, {"X-Error-Message": message})
            return False
        return True

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        self.state.received.append(body)
        return body

    def _answer(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            **(headers or {}),
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)


def _mode(name: str, known: Mapping[str, bytes]) -> dict[str, Any]:
    """Weights go through LFS, text into the commit. `oid`: of the content that is there."""
    lfs, content = name.endswith(".safetensors"), known.get(name)
    oid = None
    if content is not None:
        oid = hashlib.sha256(content).hexdigest() if lfs else _git(content)
    return {"path": name, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, "oid": oid}


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _front_matter(card: str) -> Any:
    if not card.startswith("---\n"):
        return None
    return yaml.safe_load(card.removeprefix("---\n").partition("\n---\n")[0])
