"""What may a user set for an export?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from refusal_tui.jobs.spec import JobSpec, SpecError


class ExportSpec(JobSpec):
    """Settings of `refusal-tui export`."""

    VERSION: ClassVar[int] = 1

    format: Literal["jsonl", "json", "parquet", "csv", "hf"] = Field("jsonl", description="file format")
    out: str = Field(description="the folder to write; it must be new or empty")

    @field_validator("out")
    @classmethod
    def _absolute(cls, value: str) -> str:
        return absolute_folder(value)

    def check(self) -> None:
        """Refuse at once what would fail after all rows are written."""
        check_folder(self.out)

    def title(self) -> str:
        return f"export as {self.format}"


def absolute_folder(value: str) -> str:
    """The path here and now: the worker runs in another folder than the person who typed it. Raises ValueError."""
    try:
        path = str(Path(value).expanduser().absolute())
        path.encode("utf-8")
    except RuntimeError as error:
        raise ValueError(f"{value} is in the home of nobody on this machine") from error
    except UnicodeEncodeError as error:
        raise ValueError("it is not UTF-8 text; choose another name") from error
    return path


def check_folder(out: str) -> None:
    """Raises SpecError where no folder `out` can be made: a file, a folder with something in it, no permission."""
    path = Path(out)
    try:
        if path.exists() and not path.is_dir():
            raise SpecError({"out": f"{path} is a file"})
        if path.is_dir() and any(path.iterdir()):
            raise SpecError({"out": f"{path} is not empty"})
        # The draft stands beside the target. Trying is the only question that quotas, read-only mounts and access lists
        # all answer.
        with tempfile.TemporaryDirectory(dir=_nearest_folder(path.resolve().parent), prefix=".refusal-tui-"):
            pass
    except OSError as error:
        raise SpecError({"out": f"{path} cannot be written: {error.strerror or error}"}) from error


def _nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest one above that is there already."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
