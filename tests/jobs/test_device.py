"""Which GPU is there, and how busy is it? `nvidia-smi` is a small script on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_tui.jobs import device
from refusal_tui.jobs.device import gpu_line


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "nvidia-smi"


def says(program: Path, body: str) -> None:
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


def test_a_machine_without_the_program_has_no_gpu(program: Path) -> None:
    assert gpu_line() == ""


def test_one_gpu_is_one_line(program: Path) -> None:
    says(program, "echo 'NVIDIA H200, 3072, 143771, 12'")
    assert gpu_line() == "NVIDIA H200 3/140 GiB 12%"


def test_several_gpus_share_the_line(program: Path) -> None:
    says(program, "echo 'A, 0, 1024, 0'; echo 'B, 512, 2048, 100'")
    assert gpu_line() == "A 0/1 GiB 0%  B 0/2 GiB 100%"


def test_a_virtual_gpu_that_does_not_know_its_memory_is_shown_as_it_says(program: Path) -> None:
    says(program, "echo 'GRID, [N/A], [N/A], [N/A]'")
    assert gpu_line() == "GRID [N/A]/[N/A] MiB [N/A]%"


@pytest.mark.parametrize("body", ["echo 'no driver' >&2; exit 9", "echo 'Unable to determine the device handle'"])
def test_a_broken_driver_is_no_gpu(program: Path, body: str) -> None:
    says(program, body)
    assert gpu_line() == ""


def test_a_program_that_hangs_is_given_up(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_TIMEOUT_SECONDS", 0.2)
    says(program, "exec /bin/sleep 60")
    assert gpu_line() == ""
