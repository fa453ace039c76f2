"""How does a direction run go? Read, extract, decide, prove, fill; every step is kept when it is done.

In the job's folder: `prompts.json` (what was drawn), `first_tokens.json`, `extraction.*` (candidates and the filter),
`cells.jsonl` (a line per score, as it is measured), `evidence.json`, and at the end the tensors and the card. After
kill -9 a run goes on with the first group of cells that has no line, and ends with the same numbers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from refusal_tui.direction.anatomy import study
from refusal_tui.direction.answers import Arm
from refusal_tui.direction.apply import Direction, load_direction
from refusal_tui.direction.cells import CellFile
from refusal_tui.direction.evidence import gather, rivals_within_noise
from refusal_tui.direction.extraction import PARTS, Extraction, extract
from refusal_tui.direction.geometry import FILE as GEOMETRY
from refusal_tui.direction.geometry import save_geometry
from refusal_tui.direction.load import fingerprint, load, padding_token
from refusal_tui.direction.passes import Passes
from refusal_tui.direction.prompts import Drawn, Prompt, draw, read_prompts
from refusal_tui.direction.readings import FILE as READINGS
from refusal_tui.direction.readings import PROJECTIONS, Text, answer_ids, save_readings
from refusal_tui.direction.refusal_tokens import FirstToken
from refusal_tui.direction.save import SCORES, save_card, save_json, save_scores, save_tensors
from refusal_tui.direction.score import Scorer
from refusal_tui.direction.search import Measured, Search
from refusal_tui.direction.select import Cell, Choice, Reason, Rule, Score, empty_grid
from refusal_tui.direction.spec import DirectionSpec
from refusal_tui.direction.store_answers import store_answers
from refusal_tui.direction.template import Template, read_template
from refusal_tui.direction.transfer import FILE as TRANSFER
from refusal_tui.direction.transfer import folder_of, try_stored
from refusal_tui.jobs.compute import ComputeContext

_WHY = {
    Reason.STEERING: "adding them does not make it refuse",
    Reason.KL: "taking them out changes harmless answers too much",
    Reason.LAYER: "they lie in the last fifth of the layers",
    Reason.ZERO: "nothing differs there",
    Reason.NAN: "a score is no number",
}


@dataclass(frozen=True, slots=True)
class _Subject:
    """The model of a run and its prompts: `encoded` and `drawn` by part, in the same order."""

    passes: Passes
    tokenizer: Any
    template: Template
    drawn: Mapping[str, Sequence[Prompt]]
    encoded: Mapping[str, Sequence[Sequence[int]]]


class DirectionJob:
    """A ComputeJob. No weights are changed; the model is loaded anew by every run."""

    def __init__(self, spec: DirectionSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        spec, folder = self._spec, context.folder
        subject = _subject(context, spec)
        stored = _stored(context, spec, subject)
        extraction, scorer = _extraction(context, spec, subject)

        cells = CellFile(folder / "cells.jsonl")
        rule = Rule(subject.passes.anatomy.n_layers, frozenset(Cell(*cell) for cell in extraction.zero))
        grid = empty_grid(extraction.positions, rule.n_layers)
        search = Search(scorer, extraction.candidates, rule, grid, cells.known())
        _measure(context, search, search.decide(), cells, "choosing")
        choice, evidence = search.choice(), None
        paths = save_tensors(folder, extraction, choice)
        if choice.pick is not None:
            evidence = _evidence(context, search, scorer, extraction, choice.pick, cells, spec.seed)
            _texts(context, spec, subject, extraction, scorer, choice.pick, search.measured)
        transfer = None if stored is None else _transfer(context, spec, search, scorer, extraction, stored)
        if spec.fill != "none":
            _measure(context, search, search.fill(late_layers=spec.fill == "all"), cells, "filling the grid")
            choice = search.choice()

        facts = _facts(spec, subject, extraction, scorer)
        facts |= {"evidence": evidence, "transfer": transfer, "rivals": _rivals(cells, choice, spec.seed)}
        paths.append(save_scores(folder, extraction, search.grid, choice))
        paths.append(save_card(folder, choice, rule, search.grid, facts))
        paths += [folder / name for name in (GEOMETRY, READINGS, PROJECTIONS) if (folder / name).exists()]
        for path in paths:
            context.artifact(path, "direction", {"model": spec.model, "seed": spec.seed, "mode": spec.mode})
        context.report(search.measured, search.measured, "done", now=True)
        return _note(choice, search, scorer, evidence)


def _subject(context: ComputeContext, spec: DirectionSpec) -> _Subject:
    drawn = _frozen_prompts(context, spec).parts()
    context.report(0, None, "loading the model", now=True)
    model, tokenizer = load(spec.model, dtype=spec.dtype, device=spec.device)
    texts = [prompt.text for part in PARTS[:2] for prompt in drawn[part]]
    template = read_template(tokenizer, spec.system, texts)
    save_json(context.folder / "template.json", template.facts())  # a screen shows it long before there is a card
    encoded = {part: [template.encode(prompt.text) for prompt in prompts] for part, prompts in drawn.items()}
    passes = _passes(context, model, tokenizer, encoded["harmful_train"], spec)
    return _Subject(passes, tokenizer, template, drawn, encoded)


def _extraction(context: ComputeContext, spec: DirectionSpec, subject: _Subject) -> tuple[Extraction, Scorer]:
    """Of an earlier run, where there is one; the validation prompts go through the model again, for their streams."""
    context.report(0, None, "reading the prompts", now=True)
    passes, positions = subject.passes, len(subject.template.end)
    validation = {part: passes.baseline(subject.encoded[part], positions=positions, streams=True) for part in PARTS[2:]}
    extraction = Extraction.load(context.folder)
    if extraction is None:
        extraction = extract(
            passes, subject.tokenizer, subject.encoded, validation, positions=positions, words=spec.words,
            skip_filter=spec.skip_filter, seed=spec.seed, show=_shown(context),
        )  # fmt: skip
        extraction.save(context.folder)
        counts = [f"{len(kept.places)} of {len(kept.scores)} in {part}" for part, kept in extraction.kept.items()]
        context.event("info", "kept", f"prompts that count: {', '.join(counts)}")
    kept = [validation[part].only(extraction.kept[part].places) for part in PARTS[2:]]
    if not (context.folder / GEOMETRY).exists():
        ends = [part.ends for part in kept if part.ends is not None]
        save_geometry(context.folder, extraction.candidates, ends[0], ends[1])
    return extraction, Scorer(passes, extraction.refusal_tokens, *kept)


def _texts(
    context: ComputeContext,
    spec: DirectionSpec,
    subject: _Subject,
    extraction: Extraction,
    scorer: Scorer,
    pick: Cell,
    measured: int,
) -> None:
    """Answers of the three arms, where they are asked for, and what every token of a prompt and its answers projects
    to. Kept: a run that is interrupted later need not do it again."""
    if (context.folder / READINGS).exists():
        return
    vector = extraction.candidates[pick.position, pick.layer]
    asked = {
        part: [(subject.drawn[part][place], subject.encoded[part][place]) for place in extraction.kept[part].places]
        for part in PARTS[2:]
    }
    answered: Mapping[str, Sequence[Mapping[Arm, str]]] = {}
    if spec.answers:
        context.report(measured, None, "answering", now=True)
        answered = store_answers(context, spec, subject.passes, subject.tokenizer, asked, pick, vector)
    context.report(measured, None, "reading the tokens", now=True)
    texts = [
        Text(part, prompt.key, arm, ids, answer_ids(subject.tokenizer, said))
        for part, prompts in asked.items()
        for place, (prompt, ids) in enumerate(prompts)
        for arm, said in (answered[part][place] if answered else {"": ""}).items()
    ]
    ends = scorer.harmful.ends, scorer.harmless.ends
    assert ends[0] is not None and ends[1] is not None
    save_readings(context.folder, subject.passes, subject.tokenizer, texts, vector, pick, (ends[0], ends[1]))


def _frozen_prompts(context: ComputeContext, spec: DirectionSpec) -> Drawn:
    """Drawn once: a selection or file that changes later does not change the run."""
    path = context.folder / "prompts.json"
    if path.exists():
        stored = json.loads(path.read_text())
        return Drawn(*(tuple(Prompt(p["key"], p["text"]) for p in stored[part]) for part in PARTS))
    frozen = set(context.item_ids())
    sets = [read_prompts(context.connection, source, among=frozen) for source in (spec.harmful, spec.harmless)]
    drawn = draw(*sets, n_train=spec.n_train, n_val=spec.n_val, seed=spec.seed)
    save_json(path, {part: [asdict(p) for p in prompts] for part, prompts in drawn.parts().items()})
    return drawn


def _passes(
    context: ComputeContext, model: Any, tokenizer: Any, encoded: Sequence[Sequence[int]], spec: DirectionSpec
) -> Passes:
    """The size of a pass is kept: another one would round differently, and a resumed run ends with the same numbers."""
    import torch

    anatomy = study(model, torch.tensor(max(encoded[:16], key=len)))
    saved = (context.load_checkpoint() or {}).get("tokens_per_pass")
    return Passes(model, anatomy, spec.mode, pad_token=padding_token(tokenizer), tokens_per_pass=saved)


def _shown(context: ComputeContext) -> Any:
    def show(table: list[FirstToken], tokens: list[int]) -> None:
        rows = [{**asdict(token), "refusal": token.id in tokens} for token in table]
        save_json(context.folder / "first_tokens.json", rows)
        chosen = [
            f"{t.text!r} ({t.harmful:.0%} of harmful, {t.harmless:.0%} of harmless)" for t in table if t.id in tokens
        ]
        others = "" if chosen else f"none of the {len(table)} first tokens that tell the two sets apart"
        context.event("info", "refusal_tokens", f"answers that refuse begin with {', '.join(chosen) or others}")

    return show


def _measure(
    context: ComputeContext, search: Search, groups: Iterator[list[Measured]], cells: CellFile, step: str
) -> None:
    """Run through groups of cells; each is on the disk before the next one begins."""
    total = 3 * len(search.grid)
    passes = search.passes
    size = None
    context.report(search.measured, total, step, now=True)
    for group in groups:
        context.check()
        cells.append(group)
        if passes.tokens_per_pass != size:
            size = passes.tokens_per_pass
            context.save_checkpoint({"tokens_per_pass": size})
        context.report(search.measured, total, step)


def _evidence(
    context: ComputeContext,
    search: Search,
    scorer: Scorer,
    extraction: Extraction,
    pick: Cell,
    cells: CellFile,
    seed: int,
) -> dict[str, Any]:
    """Kept: a run that is interrupted later need not gather it again."""
    path = context.folder / "evidence.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    context.report(search.measured, None, "control arms", now=True)
    place = pick.position, pick.layer
    shuffled = extraction.shuffled[:, pick.position, pick.layer]
    ablation = cells.values(Score.ABLATION)[pick]
    evidence = gather(scorer, pick, extraction.candidates[place], shuffled, ablation, seed=seed)
    save_json(path, evidence.as_dict())
    return evidence.as_dict()


def _stored(context: ComputeContext, spec: DirectionSpec, subject: _Subject) -> Direction | None:
    """The direction of another run to be tried here. Raises InputError before anything is measured."""
    if not spec.transfer:
        return None
    direction = load_direction(folder_of(context.workspace.artifacts, spec.transfer))
    direction.require_width(subject.passes.anatomy)
    return direction


def _transfer(
    context: ComputeContext,
    spec: DirectionSpec,
    search: Search,
    scorer: Scorer,
    extraction: Extraction,
    stored: Direction,
) -> dict[str, Any]:
    """Kept, as the evidence is."""
    path = context.folder / TRANSFER
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    context.report(search.measured, None, "trying the stored direction", now=True)
    pick = search.choice().pick
    transfer = try_stored(scorer, stored, spec.transfer, extraction.candidates, pick, search.grid)
    save_json(path, transfer.as_dict())
    return transfer.as_dict()


def _rivals(cells: CellFile, choice: Choice, seed: int) -> list[tuple[int, int]]:
    if choice.pick is None:
        return []
    return rivals_within_noise(cells.values(Score.ABLATION), choice.pick, choice.survivors, seed=seed)


def _facts(spec: DirectionSpec, subject: _Subject, extraction: Extraction, scorer: Scorer) -> dict[str, Any]:
    import torch
    import transformers

    from refusal_tui import __version__

    passes, decode = subject.passes, subject.tokenizer.decode
    harmful, harmless = (float(values.mean()) for values in scorer.baseline())
    return {
        "mode": spec.mode,
        "model": spec.model,
        "model_fingerprint": fingerprint(spec.model),
        "model_type": type(passes.model).__name__,
        "dtype": str(next(passes.model.parameters()).dtype).removeprefix("torch."),
        "device": str(passes.device),
        "settings": spec.model_dump(),
        "versions": {"refusal_tui": __version__, "torch": torch.__version__, "transformers": transformers.__version__},
        "anatomy": passes.anatomy.facts(),
        "template": subject.template.facts(),
        "refusal_tokens": [{"id": token, "text": decode([token])} for token in extraction.refusal_tokens],
        "baseline": {"harmful": harmful, "harmless": harmless},
        "kept": {part: [len(extraction.kept[part].places), len(prompts)] for part, prompts in subject.drawn.items()},
        "tokens_per_pass": passes.tokens_per_pass,
        "scores_of_every_cell": SCORES,
    }


def _note(choice: Choice, search: Search, scorer: Scorer, evidence: dict[str, Any] | None) -> str:
    harmful, _ = (float(values.mean()) for values in scorer.baseline())
    if choice.pick is None or evidence is None:
        counts = Counter(choice.reasons.values())
        why = "; ".join(f"{counts[reason]}: {text}" for reason, text in _WHY.items() if counts[reason])
        return f"no direction found among {len(choice.reasons)} candidates ({why})"
    cell, scores = choice.pick, search.grid[choice.pick]
    weak = ", a weak one: compare it with the control arms" if evidence["weak"] else ""
    return (
        f"direction at position {cell.position}, layer {cell.layer} of {search.rule.n_layers}: refusal "
        f"{harmful:+.2f} -> {scores.ablation:+.2f} when ablated, {scores.steering:+.2f} when added, "
        f"KL {scores.kl:.3f}{weak}"
    )
