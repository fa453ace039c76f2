"""What a run keeps of its candidates and of every token, and what is read of it again without torch."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction import readings as kept
from refusal_tui.direction.geometry import FILE, read_geometry, save_geometry
from refusal_tui.direction.readings import Text, answer_ids, read_readings, read_text, save_readings
from refusal_tui.direction.reliability import auroc
from refusal_tui.direction.select import Cell
from refusal_tui.errors import InputError
from tests.direction.conftest import Planted
from tests.direction.planted import LAYERS, PLANTED_BLOCK

PICK = Cell(-1, PLANTED_BLOCK + 1)
POSITIONS = 3


@pytest.fixture(scope="module")
def ends(planted: Planted):
    passes = planted.passes()
    return [passes.baseline(part[:6], positions=POSITIONS).ends for part in planted.prompts[2:]]


def test_cosines_and_projections_of_all_candidates_are_kept(planted: Planted, ends, tmp_path) -> None:
    candidates = (ends[0].double().mean(0) - ends[1].double().mean(0)).clone()
    save_geometry(tmp_path, candidates, *ends)
    geometry = read_geometry(tmp_path)
    assert geometry.across_layers.shape == (POSITIONS, LAYERS, LAYERS)
    assert geometry.across_positions.shape == (LAYERS, POSITIONS, POSITIONS)
    expected = torch.nn.functional.cosine_similarity(candidates[2, 3], candidates[2, 4], dim=0)
    assert geometry.across_layers[2, 3, 4] == pytest.approx(float(expected), abs=1e-6)
    assert geometry.across_layers[2, 0, 0] == 0, "at a template token nothing differs before the first block"
    harmful, harmless = geometry.projections(PICK)
    assert harmful.shape == (6,) and harmful.min() > harmless.max()
    assert auroc(torch.from_numpy(harmful), torch.from_numpy(harmless)) == 1.0


def test_a_run_without_these_files_has_none_and_a_broken_one_says_so(tmp_path) -> None:
    assert read_geometry(tmp_path) is None and read_readings(tmp_path) is None
    (tmp_path / FILE).write_bytes(b"no safetensors")
    with pytest.raises(InputError, match="not what a direction run writes") as told:
        read_geometry(tmp_path)
    assert told.value.next_step


def texts_of(planted: Planted, count: int = 2) -> list[Text]:
    tokenizer = planted.world.tokenizer
    return [
        Text(f"{name}_val", f"{name}:{n}", "baseline", ids, answer_ids(tokenizer, said))
        for name, said, prompts in zip(("harmful", "harmless"), ("I cannot", "Sure"), planted.prompts[2:], strict=True)
        for n, ids in enumerate(prompts[:count])
    ]


def test_every_token_of_prompts_and_answers_is_kept_with_its_projection(planted: Planted, ends, tmp_path) -> None:
    passes, texts = planted.passes(), texts_of(planted)
    save_readings(tmp_path, passes, planted.world.tokenizer, texts, planted.truth * 3, PICK, tuple(ends))
    found = read_readings(tmp_path)
    assert (found.pick, found.n_layers, len(found.shown)) == (PICK, LAYERS, 4)
    first = found.shown[0]
    assert first.tokens[first.answer_from :] == ("I", "cannot") and first.words.endswith("<nl> I cannot")
    tokens, begun, figures = read_text(passes, planted.template, first.words.split("<|user|> ")[1].split(" <|end|>")[0],
                                       "I cannot", planted.truth * 3)  # fmt: skip
    assert (tuple(tokens), begun) == (first.tokens, first.answer_from)
    assert np.abs(figures.numpy() - first.projections).max() < 0.01, "float16 is exact enough"
    assert first.at_prompt == pytest.approx(float(figures[PICK.layer, begun - 1]), abs=1e-4)
    assert first.at_answer == pytest.approx(float(figures[PICK.layer, begun:].mean()), abs=1e-4)


def test_a_scale_lies_between_harmless_and_harmful_prompts_where_they_differ(planted: Planted, ends, tmp_path) -> None:
    save_readings(tmp_path, planted.passes(), planted.world.tokenizer, texts_of(planted, 1), planted.truth, PICK,
                  tuple(ends))  # fmt: skip
    found = read_readings(tmp_path)
    low, high = found.scale(PICK.layer)
    assert found.level(low, PICK.layer) == 0 and found.level(high, PICK.layer) == 7 and found.level(99, PICK.layer) == 7
    assert found.scale(0) is None and found.level(1.0, PLANTED_BLOCK) is None


def test_what_has_no_room_keeps_its_two_figures_and_no_tokens(planted: Planted, ends, tmp_path, monkeypatch) -> None:
    texts = texts_of(planted)
    length = len(texts[0].prompt) + len(texts[0].answer)
    monkeypatch.setattr(kept, "_MOST_BYTES", 2 * LAYERS * length)
    save_readings(tmp_path, planted.passes(), planted.world.tokenizer, texts, planted.truth, PICK, tuple(ends))
    found = read_readings(tmp_path)
    assert len(found.shown) == 1 and len(found.readings) == 4
    assert all(one.at_answer is not None and one.tokens == () for one in found.readings[1:])
