"""How are the rows of a Hugging Face dataset streamed, and what is said when they cannot be had?

`datasets` is imported inside the functions: it loads for a second, and a face must never do it. Code from a
repository is never run (`datasets` 5 cannot; `trust_remote_code` is not passed).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from refusal_tui.errors import InputError, RefusalTuiError, UnavailableError, UsageError
from refusal_tui.ingest.items import BadRow, Origin, Record, Rejected, Source, excerpt
from refusal_tui.ingest.plain import check_storable, plain

_REFERENCE = re.compile(r"hf:(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?::(?P<config>[^@]+))?(?:@(?P<revision>.+))?")
_PAGE = "https://huggingface.co/datasets/"
_DOWNLOAD = "or download its files elsewhere and import those (a folder or a file)"


@dataclass(frozen=True, slots=True)
class HubReference:
    """`hf:owner/name[:config][@revision]`."""

    repo: str
    config: str | None = None
    revision: str | None = None

    def at(self, revision: str) -> HubReference:
        """The same dataset at a commit."""
        return replace(self, revision=revision)

    def __str__(self) -> str:
        config = f":{self.config}" if self.config else ""
        return f"hf:{self.repo}{config}" + (f"@{self.revision}" if self.revision else "")


def parse_reference(source: str) -> HubReference:
    """Read the address of a Hub dataset. Raises UsageError for anything else.

    >>> parse_reference("hf:allenai/wildguardmix:wildguardtest@main")
    HubReference(repo='allenai/wildguardmix', config='wildguardtest', revision='main')
    """
    match = _REFERENCE.fullmatch(source)
    if match is None:
        raise UsageError(
            f"{source!r} is no address of a Hub dataset.", "Write hf:owner/name, hf:owner/name:config or ...@revision."
        )
    return HubReference(**match.groupdict())


def open_hub(reference: HubReference, split: str | None = None, skip: int = 0) -> Source:
    """Stream a Hub dataset: one split, or all of them one after the other (each row knows its split).

    The revision is resolved to a commit first, so that all rows come from one state; it stands in `Source.revision`.
    Raises UnavailableError for a gated, missing or unreachable dataset, InputError for an unknown config or split.
    """
    try:
        import datasets
        import huggingface_hub
    except ImportError as error:
        raise UnavailableError("Reading from the Hub needs the package datasets.", "pip install datasets") from error
    token = huggingface_hub.get_token()  # HF_TOKEN, else the login that `hf auth login` stored
    try:
        sha = huggingface_hub.HfApi(token=token).dataset_info(reference.repo, revision=reference.revision).sha
        # The long form, because a bare owner/name would prefer a local folder of that name.
        loaded = datasets.load_dataset(
            f"hf://datasets/{reference.repo}", reference.config, split=split, streaming=True, revision=sha,
            token=token or False,
        )  # fmt: skip
    except Exception as error:
        raise explain(error, reference) from error
    return Source(stream(loaded, reference, split, skip), "hub", revision=sha, position=skip)


def stream(
    loaded: Any, reference: HubReference, split: str | None = None, skip: int = 0
) -> Iterator[Record | Rejected]:
    """The rows of what `load_dataset(..., streaming=True)` gave. `line` is the row's ordinal in its split."""
    parts = loaded.items() if isinstance(loaded, dict) else ((split, loaded),)
    for name, rows in parts:
        origin = Origin(path=str(reference), split=str(name) if name else None)
        names = _class_names(rows)
        line = 0
        iterator = iter(rows)
        while True:
            line += 1
            try:
                row = next(iterator)
            except StopIteration:
                break
            except Exception as error:
                raise explain(error, reference) from error
            if skip:
                skip -= 1
                continue
            yield _record(line, row, names, origin)


def _record(line: int, row: dict[str, Any], names: dict[str, Any], origin: Origin) -> Record | Rejected:
    try:
        data = plain(row)
        for column, feature in names.items():
            if isinstance(data.get(column), int) and data[column] >= 0:
                data[column] = feature.int2str(data[column])
        check_storable(data)
    except (BadRow, ValueError) as error:
        return Rejected(line, str(error), excerpt(row))
    return Record(line, data, origin)


def _class_names(rows: Any) -> dict[str, Any]:
    """Columns that hold numbers of classes: their names are what adapters and people read."""
    features = getattr(rows, "features", None) or {}
    return {column: feature for column, feature in features.items() if type(feature).__name__ == "ClassLabel"}


def explain(error: BaseException, reference: HubReference) -> RefusalTuiError:
    """An error of `datasets` or `huggingface_hub` as a sentence and a next step."""
    page = f"{_PAGE}{reference.repo}"
    kinds = {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    said = " ".join(str(one) for one in _chain(error))
    if "OfflineModeIsEnabled" in kinds or "offline mode is enabled" in said:
        return UnavailableError(
            f"The Hub is switched off here (HF_HUB_OFFLINE is set), so {reference} cannot be read.",
            f"Unset HF_HUB_OFFLINE, {_DOWNLOAD}.",
        )
    if "GatedRepoError" in kinds or "gated" in said.lower():
        return UnavailableError(
            f"{reference.repo} is gated: its owners want their terms accepted.",
            f"Accept them at {page}, then log in with `hf auth login` or set HF_TOKEN, {_DOWNLOAD}.",
        )
    if "RevisionNotFoundError" in kinds or ("Revision" in said and "doesn't exist" in said):
        return InputError(
            f"{reference.repo} has no revision {reference.revision!r}.", f"See {page}/commits/main, or leave @... out."
        )
    if kinds & {"RepositoryNotFoundError", "DatasetNotFoundError", "DisabledRepoError"}:
        return UnavailableError(
            f"There is no dataset {reference.repo} on the Hub, or it is private.",
            f"Check the name at {page}; for a private one log in with `hf auth login` or set HF_TOKEN.",
        )
    if "Config name is missing" in said or "BuilderConfig" in said:
        available = re.search(r"(?:available configs|Available): *(\[.*?\])", said)
        listed = f" Available: {available.group(1)}." if available else ""
        return InputError(
            f"{reference.repo} needs one of its configs to be named.{listed}",
            f"Write hf:{reference.repo}:CONFIG.",
        )
    if "Bad split" in said or "Unknown split" in said:
        available = re.search(r"Available splits: *(\[.*?\])|Should be one of (\[.*?\])", said)
        return InputError(
            f"{reference.repo} has no such split.", f"Available: {available.group(0)}." if available else f"See {page}."
        )
    if "scripts are no longer supported" in said:
        return InputError(
            f"{reference.repo} is published as a program, which is never run here.",
            f"Try hf:{reference.repo}@refs/convert/parquet, {_DOWNLOAD}.",
        )
    if kinds & {"DataFilesNotFoundError", "EmptyDatasetError"}:
        return InputError(f"{reference.repo} holds no data files that can be read.", f"Look at {page}/tree/main.")
    if kinds & {"ConnectionError", "TransportError", "TimeoutException", "TimeoutError", "ConnectError", "gaierror"}:
        return UnavailableError(
            f"The Hub cannot be reached, so {reference} cannot be read.",
            f"Check the network (proxy: HTTPS_PROXY, mirror: HF_ENDPOINT), {_DOWNLOAD}.",
        )
    if "HfHubHTTPError" in kinds:
        return UnavailableError(
            f"The Hub refused {reference}: {_first_line(error)}.", f"Look at {page}, and try again."
        )
    return InputError(f"{reference} cannot be read: {_first_line(error)}.", f"Look at {page}, {_DOWNLOAD}.")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it: libraries wrap the telling one."""
    seen = 0
    while error is not None and seen < 10:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
