"""`refusal-tui push`: a refusal adapter to the Hugging Face Hub. Shows what would be sent; `--send` sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.errors import UsageError

if TYPE_CHECKING:
    from refusal_tui.finetune.hub import Upload


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--to", "repo", metavar="OWNER/REPO", help="The model repository on the Hub.")
@click.option("--send", "really", is_flag=True, help="Really send it, in one commit. Without: only show it.")
@click.option("--public", is_flag=True, help="For everybody to read (default: private).")
@json_option
@pass_session
def push(session: Session, name: str | None, repo: str | None, really: bool, public: bool, as_json: bool) -> None:
    """Upload the refusal adapter NAME to the Hugging Face Hub, or list them without NAME.

    Shows what would be sent and touches no network; --send sends it with the token in HF_TOKEN or .env. Adapters of the
    robustness experiment's arms pull against refusal and are never sent.
    """
    if name is None:
        if repo or really or public:
            raise UsageError("No refusal adapter is named.", "List them: refusal-tui push")
        _list(session, as_json)
        return
    if repo is None:
        raise UsageError("Where to?", f"Name a repository: refusal-tui push {name} --to OWNER/REPO")
    from refusal_tui.finetune.hub import upload_of

    with session.store() as connection:
        upload = upload_of(session.workspace(), connection, name, repo)
    if really:
        _send(session, upload, public=public, as_json=as_json)
    else:
        _show(upload, public=public, as_json=as_json)


def _list(session: Session, as_json: bool) -> None:
    from refusal_tui.finetune.adapters import described

    with session.store() as connection:
        found = described(session.workspace(), connection)
    if as_json:
        emit_json([one.as_json() for one in found])
        return
    if not found:
        emit("No refusal adapter yet. Train one with: refusal-tui run refusal-adapter --name NAME --model DIR …")
        return
    lines = [
        [one.name, one.job, one.model, one.made, _agreement(one.agreement, one.seeds),
         *((one.rows or {}).get(name) for name in ("refusals", "harmless"))]
        for one in found
    ]  # fmt: skip
    emit_table(["name", "job", "base model", "trained", "agreement", "refusals", "harmless"], lines)


def _agreement(mean: float | None, seeds: int | None) -> str:
    if seeds is None:
        return "its files are gone"
    return "one seed" if mean is None else f"{mean:.2f} of {seeds} seeds"


def _show(upload: Upload, *, public: bool, as_json: bool) -> None:
    if as_json:
        emit_json({**_told(upload, public), "sent": False})
        return
    emit(f"refusal adapter {upload.adapter} of {upload.model}, trained on {upload.made}")
    emit(f"to {_told(upload, public)['url']} ({_visibility(public)} model repository)\n")
    emit_table(
        ["file", "bytes", "sha256"],
        [(f.name, f.size, f.sha256) for f in upload.files],
        cut=64,
        whole=("file", "sha256"),
    )
    emit(f"\nREADME.md\n\n{upload.card}")
    flags = " --public" if public else ""
    say(f"Nothing was sent. To send it: refusal-tui push {upload.adapter} --to {upload.repo}{flags} --send")


def _send(session: Session, upload: Upload, *, public: bool, as_json: bool) -> None:
    from pathlib import Path

    from refusal_tui.finetune.hub_send import ALL_OR_NOTHING, TOKEN, send
    from refusal_tui.llm.keys import api_key

    token = api_key(TOKEN, [Path.cwd(), session.workspace().root])
    assert token is not None  # it raises where there is none
    size = sum(file.size for file in upload.files)
    say(f"Sending {len(upload.files)} files, {size:,} bytes, to {upload.repo} …")
    try:
        sent = send(upload, token, public=public)
    except KeyboardInterrupt:
        say(f"{ALL_OR_NOTHING} {_told(upload, public)['url']}")
        raise
    if as_json:
        from dataclasses import asdict

        emit_json({**_told(upload, not sent.private), "sent": True, **asdict(sent)})
        return
    emit(f"{sent.url} ({_visibility(not sent.private)})")
    emit(f"commit {sent.commit}  {sent.commit_url}")
    if sent.unchanged:
        say("The repository held these very files already: nothing has changed.")
    elif sent.replaced is not None:
        say(f"It has replaced the refusal adapter {sent.replaced or '(without a name)'} that was there.")
    if public and sent.private:
        say("The repository is private, and stays so; its settings on the Hub can change that.")


def _told(upload: Upload, public: bool) -> dict[str, Any]:
    from refusal_tui.finetune.hub_send import address

    return {
        "adapter": upload.adapter, "repo": upload.repo, "url": f"{address()}/{upload.repo}",
        "visibility": _visibility(public),
        "files": [{"name": f.name, "bytes": f.size, "sha256": f.sha256} for f in upload.files], "card": upload.card,
    }  # fmt: skip


def _visibility(public: bool) -> str:
    return "public" if public else "private"
