"""How does a refusal adapter get to the Hub? One commit with everything, or nothing. The one module that talks to it.

huggingface_hub is imported here when something is sent, never before. The token is handed in, goes into the client's
headers and nowhere else: what the Hub answers is masked before it becomes an error's sentence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refusal_tui import __version__
from refusal_tui.errors import ConflictError, RefusalTuiError, UnavailableError
from refusal_tui.finetune.hub import Upload, content_of
from refusal_tui.finetune.hub_card import TAGS
from refusal_tui.text.mask import mask_secrets

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOKEN = "HF_TOKEN"
ALL_OR_NOTHING = "Either the whole commit has arrived or nothing of it: look at"
_GREETING_SECONDS = 30  # until the Hub has answered for the first time
_MINE = set(TAGS[1:3])
_ADDED_BY_THE_HUB = {".gitattributes"}


@dataclass(frozen=True, slots=True)
class Sent:
    """`replaced`: the refusal adapter that the repository held before, None where it was new or empty. `unchanged`: the
    repository held these very files already, and `commit` is its latest."""

    url: str
    commit: str
    commit_url: str
    private: bool
    replaced: str | None
    unchanged: bool


@dataclass(frozen=True, slots=True)
class _There:
    commit: str | None
    private: bool
    holds: str | None


def address() -> str:
    """Of the Hub, or of the mirror that HF_ENDPOINT names."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def send(upload: Upload, token: str, *, public: bool) -> Sent:
    """Send it. Raises UnavailableError (no network, token, right to write), ConflictError (the repository is somebody's
    or something else's, or has changed meanwhile), InputError (a file has changed)."""
    # What is sent is what was shown: no telemetry beside it.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]
    except ImportError as error:
        raise UnavailableError("Sending needs the package huggingface_hub.", "pip install huggingface_hub") from error
    if sys.stderr is None or not sys.stderr.isatty():
        disable_progress_bars()
    # Bytes and no paths: what was looked at is what is sent.
    contents = [(file.name, content_of(upload, file)) for file in upload.files]
    api = HfApi(endpoint=address(), token=token, library_name="refusal-tui", library_version=__version__)
    made = False
    with _told(upload.repo, token):
        there = _look(api, upload.repo)
    if there is None:
        with _told(upload.repo, token):
            api.create_repo(upload.repo, private=not public)
        made, there = True, _There(None, not public, None)
    elif not there.private and not public:
        raise ConflictError(
            f"{upload.repo} is public: everybody could read what is sent there.",
            "Say so with --public, or choose another --to. Nothing was sent.",
        )
    with _told(upload.repo, token, made=made, commits=True):
        commit = api.create_commit(
            upload.repo,
            [CommitOperationAdd(name, content) for name, content in contents],
            commit_message=f"Refusal adapter {upload.adapter} (refusal_tui {__version__})",
            parent_commit=there.commit,  # the Hub refuses it where somebody else was faster
        )
    return Sent(
        f"{address()}/{upload.repo}", commit.oid, commit.commit_url, there.private, there.holds,
        commit.oid == there.commit,
    )  # fmt: skip


def _look(api: HfApi, repo: str) -> _There | None:
    """What is there now, None for nothing. Raises ConflictError for what is no refusal adapter of ours."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(repo, timeout=_GREETING_SECONDS)
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401:  # a token that is not accepted; for what is not there the Hub says 404
            raise
        return None
    names = {file.rfilename for file in info.siblings or ()} - _ADDED_BY_THE_HUB
    card: dict[str, Any] = vars(info.card_data) if info.card_data is not None else {}
    tags = card.get("tags")
    mine = isinstance(tags, list) and set(tags) >= _MINE
    if names and not mine:
        raise ConflictError(
            f"{repo} holds something else: {', '.join(sorted(names)[:4])}{' …' if len(names) > 4 else ''}.",
            "Its card does not say that it is a refusal adapter of this program, so it is not overwritten. Choose "
            "another --to, or empty that repository.",
        )
    return _There(info.sha, bool(info.private), str(card.get("model_name") or "") if mine else None)


@contextmanager
def _told(repo: str, token: str, *, made: bool = False, commits: bool = False) -> Iterator[None]:
    """Errors of the client as ours. `made`: the repository was made for this upload. `commits`: where no answer comes,
    the commit may have arrived all the same."""
    # HTTPError: of whatever package the client speaks HTTP with.
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled  # type: ignore[attr-defined]

    try:
        yield
    except RefusalTuiError:
        raise
    except OfflineModeIsEnabled as error:
        raise UnavailableError(
            "The Hub is switched off here (HF_HUB_OFFLINE is set): nothing was sent.", "Unset HF_HUB_OFFLINE first."
        ) from error
    # RuntimeError: of a transfer of weights (LFS, hf_xet). ValueError: metadata that the Hub refuses, a garbled answer.
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise _as_ours(_innermost(error), repo, token, made, commits) from None


def _innermost(error: BaseException) -> BaseException:
    """The transfer of weights wraps what the Hub has answered."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _as_ours(error: BaseException, repo: str, token: str, made: bool, commits: bool) -> RefusalTuiError:
    left = f" {repo} has been made and is empty." if made else ""
    nothing = f"Nothing of the adapter is there: it comes in one commit, the last step.{left}"
    response = getattr(error, "response", None)
    if response is None:
        said = mask_secrets(" ".join(str(error).split()), {TOKEN: token}) or type(error).__name__
        unheard = commits and not isinstance(error, ValueError)  # that is what it says of the card, before the commit
        there = f"{ALL_OR_NOTHING} {address()}/{repo}." if unheard else nothing
        return UnavailableError(f"Sending to {address()} failed: {said}.", f"{there} Send it again later.")
    words = getattr(error, "server_message", None) or response.headers.get("X-Error-Message") or response.reason_phrase
    said = mask_secrets(" ".join(str(words).split()), {TOKEN: token})
    status = response.status_code
    owner = repo.partition("/")[0]
    if status == 401:
        return UnavailableError(
            f"The Hub does not accept the token in {TOKEN} (401: {said}).",
            f"Make one with write access to {owner}: {address()}/settings/tokens. {nothing}",
        )
    if status in (403, 404):
        return UnavailableError(
            f"This token may not write to {repo} ({status}: {said}).",
            f"Use one with write access to {owner}, or another --to. {nothing}",
        )
    if status in (409, 412):
        return ConflictError(
            f"{repo} is in use, or has changed meanwhile ({status}: {said}).", f"{nothing} Look at it, then send again."
        )
    return UnavailableError(f"The Hub has refused it ({status}: {said}).", f"{nothing} Send it again later.")
