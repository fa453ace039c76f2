"""Which first tokens are refusals, and what score comes of them?"""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.refusal_tokens import (
    contrast_table,
    find_refusal_tokens,
    first_ids,
    kl_divergences,
    named_tokens,
    refusal_scores,
)
from refusal_tui.errors import InputError
from tests.direction.conftest import Planted


def first_tokens(planted: Planted, rows: list[dict[str, float]]) -> torch.Tensor:
    """Logits of prompts whose first tokens have these probabilities; the rest goes to `<eos>`."""
    ids = planted.world.tokenizer.get_vocab()
    shares = torch.full((len(rows), len(ids)), 1e-9)
    for row, wanted in zip(shares, rows, strict=True):
        for word, share in wanted.items():
            row[ids[word]] = share
        row[ids["<eos>"]] = 1 - sum(wanted.values())
    return shares.log()


def test_the_score_is_the_log_odds_of_the_refusal_tokens_together() -> None:
    logits = torch.tensor([[math.log(0.2), math.log(0.3), math.log(0.5)]])
    assert refusal_scores(logits, [0]).item() == pytest.approx(math.log(0.2 / 0.8), abs=1e-6)
    assert refusal_scores(logits, [0, 1]).item() == pytest.approx(0, abs=1e-6)


def test_the_score_is_bounded_as_published() -> None:
    assert refusal_scores(torch.tensor([[200.0, 0.0], [0.0, 200.0]]), [0]).tolist() == pytest.approx(
        [18.42, -18.42], abs=0.01
    )


def test_the_divergence_of_equal_answers_is_zero_and_of_opposite_ones_large() -> None:
    one, other = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 9.0]])
    assert kl_divergences(one, one).item() == 0
    assert kl_divergences(one, other).item() > 8


def test_the_words_that_only_refusals_begin_with_are_found(planted: Planted) -> None:
    harmful = first_tokens(planted, [{"I": 0.7, "Sure": 0.1}, {"I": 0.6, "The": 0.2}])
    harmless = first_tokens(planted, [{"I": 0.02, "Sure": 0.9}, {"Here": 0.9}])
    table = contrast_table(planted.world.tokenizer, harmful, harmless)
    assert (table[0].text, round(table[0].harmful, 2), round(table[0].harmless, 2)) == ("I", 0.65, 0.01)
    assert find_refusal_tokens(planted.world.tokenizer, table) == planted.world.tokenizer.convert_tokens_to_ids(["I"])


def test_a_word_that_begins_answers_to_one_topic_is_passed_over_beside_a_known_opener(planted: Planted) -> None:
    harmful = first_tokens(planted, [{"I": 0.5, "Step": 0.4}] * 3)
    harmless = first_tokens(planted, [{"Sure": 0.9}] * 3)
    table = contrast_table(planted.world.tokenizer, harmful, harmless)
    assert {t.text for t in table[:2]} == {"I", "Step"}
    assert planted.world.tokenizer.decode(find_refusal_tokens(planted.world.tokenizer, table)) == "I"


def test_refusals_in_other_words_are_found_where_no_opener_stands_out(planted: Planted) -> None:
    harmful, harmless = (first_tokens(planted, [{word: 0.8}] * 3) for word in ("begin", "Sure"))
    table = contrast_table(planted.world.tokenizer, harmful, harmless)
    assert planted.world.tokenizer.decode(find_refusal_tokens(planted.world.tokenizer, table)) == "begin"


def test_a_model_that_treats_both_sets_alike_is_scored_with_the_commonest_opener(planted: Planted) -> None:
    same = first_tokens(planted, [{"Sure": 0.8}] * 3)
    table = contrast_table(planted.world.tokenizer, same, same)
    assert planted.world.tokenizer.decode(find_refusal_tokens(planted.world.tokenizer, table)) == "I"


def test_words_count_with_and_without_a_blank_before_them() -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_byte_level(), unk_token="?")
    assert tokenizer.convert_ids_to_tokens(first_ids(tokenizer, "I")) == ["I", "ĠI"]


def _byte_level() -> object:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE({"I": 0, "Ġ": 1, "ĠI": 2, "?": 3}, [("Ġ", "I")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def test_a_word_that_the_tokenizer_does_not_know_is_refused(planted: Planted) -> None:
    assert len(named_tokens(planted.world.tokenizer, ["I", "To"])) == 2
    with pytest.raises(InputError, match="can begin with 'Zibbet'"):
        named_tokens(planted.world.tokenizer, ["I", "Zibbet"])
