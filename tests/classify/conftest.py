"""The tiny encoder, made once for this room."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    import torch

    from tests.classify.tiny import write_encoder

    torch.set_num_threads(1)  # one thread: the same sums on every machine, and children of a fork that can compute
    return write_encoder(tmp_path_factory.mktemp("encoder"))
