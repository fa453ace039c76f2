"""Do explanations add up, point at the right words, and own up to what they miss?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.classify.classifier import Classifier, ClassifierSettings, HeadSettings
from refusal_tui.classify.embedded import EmbeddingScorer
from refusal_tui.classify.encode import Encoder
from refusal_tui.classify.explain import explain, margin_of, shares_of
from refusal_tui.classify.fine_tuned import EncoderScorer
from refusal_tui.classify.gradients import attention_rollout, integrated_gradients
from refusal_tui.classify.linear import LinearScorer, Side
from refusal_tui.classify.logistic import Affine
from refusal_tui.classify.memory import fitting_tokens, kept_per_token
from refusal_tui.classify.model import load_embedder, load_encoder, pooled
from refusal_tui.classify.passes import make_accelerator
from refusal_tui.errors import InputError, UnavailableError
from refusal_tui.jobs.judging import hashed_buckets, hashed_features
from tests.classify.tiny import texts

PROMPT = "How do I polish the glimmer vault?"
RESPONSE = "I'm sorry, but I can't help you polish the glimmer vault. A spoon is enough.  Rest then!"
CLASSES = ("none", "hard", "soft")
MARGIN = margin_of(3, slice(0, 3), 1)


def tuned(encoder: Path, max_tokens: int = 48) -> EncoderScorer:
    model, tokenizer = load_encoder(str(encoder), CLASSES, seed=0)
    return EncoderScorer(model, tokenizer, "pair", max_tokens, make_accelerator("cpu"))


def linear(seed: int = 0) -> LinearScorer:
    """Weights at random; the means are those of some texts, as after training."""
    random = np.random.default_rng(seed)
    means = hashed_features([(prompt, response) for prompt, response, _ in texts(40)]).dense.mean(axis=0)

    def side() -> Side:
        shapes = [(3, hashed_buckets()), (3, len(means)), (hashed_buckets(),)]
        return Side(*(random.normal(size=shape).astype(np.float32) * 0.1 for shape in shapes), means)

    return LinearScorer({"prompt": side(), "response": side()}, random.normal(size=3).astype(np.float32))


def classifier(scorer: Any, kind: Any) -> Classifier:
    heads = (HeadSettings("refusal3", CLASSES, 1.0),)
    return Classifier(scorer, ClassifierSettings("c", kind, heads, "pair", 48, "v"))


def test_shares_of_a_linear_classifier_are_exact() -> None:
    scorer = linear()
    found = explain(classifier(scorer, "linear"), PROMPT, RESPONSE, target="hard")
    assert found.method == "shapley"
    assert found.score == pytest.approx(float(scorer.logits([PROMPT], [RESPONSE])[0] @ MARGIN), abs=1e-3)
    assert abs(found.residual) < 1e-3
    parts = sum(piece.share for piece in found.pieces) + sum(found.features.values())
    assert found.base + parts == pytest.approx(found.score, abs=1e-3)
    assert {RESPONSE[p.start : p.end] for p in found.pieces if p.field == "response"} >= {"sorry", "can't", "spoon"}
    assert {PROMPT[p.start : p.end] for p in found.pieces if p.field == "prompt"} >= {"polish", "vault"}


def test_without_a_sentence_the_score_falls_by_its_share() -> None:
    scorer = linear(1)
    found = shares_of(scorer, PROMPT, RESPONSE, "pair", MARGIN, "occlusion")
    texts = {"prompt": PROMPT, "response": RESPONSE}
    said = [texts[p.field][p.start : p.end] for p in found.pieces]
    assert said == [PROMPT, RESPONSE[:57], "A spoon is enough.", "Rest then!"]
    second = found.pieces[2]
    without = scorer.logits([PROMPT], [RESPONSE[: second.start] + RESPONSE[second.end :]])[0] @ MARGIN
    assert second.share == pytest.approx(found.score - float(without), abs=1e-5)


def test_integrated_gradients_add_up_to_the_score(encoder: Path) -> None:
    scorer = tuned(encoder)
    found = integrated_gradients(scorer, PROMPT, RESPONSE, MARGIN)
    assert found.score == pytest.approx(float(scorer.logits([PROMPT], [RESPONSE])[0] @ MARGIN), abs=1e-4)
    few = integrated_gradients(scorer, PROMPT, RESPONSE, MARGIN, steps=2)
    assert abs(found.residual) < 1e-3 * max(1.0, abs(found.score - found.base)) <= 1.0 + abs(few.residual)
    assert abs(found.residual) < abs(few.residual)
    assert {p.field for p in found.pieces} == {"prompt", "response"}


def test_integrated_gradients_are_the_closed_form_where_the_score_is_linear(encoder: Path) -> None:
    """A bag of embeddings: the share of a token is its weight times (its embedding minus that of padding)."""

    class Bag(torch.nn.Module):
        def __init__(self, table: Any, config: Any) -> None:
            super().__init__()
            self.table, self.config = table, config

        def get_input_embeddings(self) -> Any:
            return self.table

        def forward(self, attention_mask: Any, input_ids: Any = None, inputs_embeds: Any = None, **_: Any) -> Any:
            from types import SimpleNamespace

            return SimpleNamespace(last_hidden_state=self.table(input_ids) if inputs_embeds is None else inputs_embeds)

    model, tokenizer = load_embedder(str(encoder))
    table = model.encoder.get_input_embeddings()
    weights = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)
    head = Affine(weights, np.zeros(3, np.float32))
    scorer = EmbeddingScorer(pooled(Bag(table, model.config)), tokenizer, head, "response", 48, make_accelerator("cpu"))
    found = integrated_gradients(scorer, "", RESPONSE, MARGIN, steps=3)
    ids = scorer.encode([""], [RESPONSE]).ids[0]
    table_of = table.weight.detach().numpy()
    by_hand = [(table_of[i] - table_of[scorer.pad]) @ (MARGIN @ weights) / len(ids) for i in ids[1:-1]]
    assert [piece.share for piece in found.pieces] == pytest.approx(by_hand, abs=1e-5)
    assert abs(found.residual) < 1e-5


def test_attention_flows_and_says_so_where_it_is_not_told(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = tuned(encoder)
    before = scorer.model.config._attn_implementation
    found = attention_rollout(scorer, PROMPT, RESPONSE, MARGIN)
    assert sum(piece.share for piece in found.pieces) == pytest.approx(1.0)
    assert min(piece.share for piece in found.pieces) > 0
    assert scorer.model.config._attn_implementation == before
    monkeypatch.setattr(scorer.encoder, "set_attn_implementation", lambda name: None)  # as before: nothing comes back
    with pytest.raises(UnavailableError, match="does not tell its attention"):
        attention_rollout(scorer, PROMPT, RESPONSE, MARGIN)


def test_a_method_that_a_classifier_has_not_is_refused(encoder: Path) -> None:
    with pytest.raises(InputError, match="shapley is not for classifiers with an encoder"):
        explain(classifier(tuned(encoder), "encoder"), PROMPT, RESPONSE, method="shapley")
    with pytest.raises(InputError, match="'harder' is no class"):
        explain(classifier(linear(), "linear"), PROMPT, RESPONSE, target="harder")
    with pytest.raises(InputError, match="was not trained on other"):
        explain(classifier(linear(), "linear"), PROMPT, RESPONSE, head="other")


def test_tokens_of_a_text_that_was_cut_point_into_the_raw_text(encoder: Path) -> None:
    scorer = tuned(encoder, 32)
    long = "polish the lamp … " + "carry a spoon " * 60 + "then sell tovels."
    encode: Encoder = scorer.encode
    places = encode.places("name quibbets", long)
    ids = encode(["name quibbets"], [long]).ids[0]
    assert len(places) == len(ids) <= 32
    words = [long[p.start : p.end] for p in places if p is not None and p.field == "response"]
    assert words[:2] == ["polish", "the"] and words[-3:] == ["sell", "tovels", "."]
    assert [p.field for p in places if p is not None][:2] == ["prompt", "prompt"]
    tokens = scorer.tokenizer.convert_ids_to_tokens(ids)
    told = [(t, p) for t, p in zip(tokens, places, strict=True) if p is not None and t[:1] not in "#["]
    assert all({"prompt": "name quibbets", "response": long}[p.field][p.start : p.end] == t for t, p in told)


def test_less_memory_is_fewer_tokens_at_a_time(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refusal_tui.classify import memory

    model, tokenizer = load_encoder(str(encoder), CLASSES, seed=0)
    accelerator, pad = make_accelerator("cpu"), tokenizer.pad_token_id
    each = kept_per_token(model, 48, accelerator.device, pad)
    frozen, _ = load_encoder(str(encoder), CLASSES, seed=0, freeze=-1)
    assert 0 <= kept_per_token(frozen, 48, accelerator.device, pad) < each / 10
    parameters = sum(p.numel() for p in model.parameters())
    monkeypatch.setattr(memory, "_free", lambda device: 1e12)
    assert fitting_tokens(model, 48, accelerator, pad) == 1024  # on a CPU more is no faster
    monkeypatch.setattr(memory, "_free", lambda device: (12 * parameters + 550 * each) / 0.7)
    assert fitting_tokens(model, 48, accelerator, pad) == 512
    monkeypatch.setattr(memory, "_free", lambda device: 0.0)
    assert fitting_tokens(model, 48, accelerator, pad) == 48  # a row, whatever happens
