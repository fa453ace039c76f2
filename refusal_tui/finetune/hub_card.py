"""What does the model card of a refusal adapter say? What it is, what it was learnt from, how far to trust it.

Everything comes from `directions.json`, which the job wrote while it trained. Names in it are data: they pass through
`text/cards.py`, and only names that the Hub itself could have given go into the front matter or into code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from refusal_tui.finetune.adapters import HARDLY_REPEATS
from refusal_tui.text.cards import as_cell, as_code, as_yaml, sources_table

TAGS = ("refusal", "refusal-tui", "refusal-adapter", "lora")  # the second and third tell a repository of ours
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_HUB_SOURCE = re.compile(rf"hf:({_HUB_NAME.pattern})(?:[:@].*)?")
_MATRIX = re.compile(r"[A-Za-z0-9_.]+")
_SETTINGS = (
    ("rank", "rank"), ("alpha", "alpha"), ("dropout", "dropout"), ("targets", "matrices with factors"),
    ("steps", "steps"), ("batch_size", "rows per step"), ("learning_rate", "learning rate at its peak"),
    ("schedule", "schedule"), ("warmup", "warm-up, share of the steps"), ("weight_decay", "weight decay (AdamW)"),
    ("max_tokens", "tokens of a row, at most"), ("dtype", "base weights held in"), ("seeds", "seeds"),
    ("seed", "seed of this adapter"),
)  # fmt: skip
_WELL = 0.5  # mean cosine between seeds from which on directions are said to repeat well


def adapter_card(about: Mapping[str, Any], repo: str, made: str) -> str:
    """`README.md` of `repo`. `about`: directions.json. `made`: the day of the training."""
    lines = [
        *_front_matter(about),
        "",
        f"# {about['name']}: a refusal adapter",
        "",
        f"A LoRA adapter of rank {about['rank']} for {as_code(about['model'])}, trained on answers that refuse, and "
        f"the directions of its update in weight space. Made with refusal_tui on {made}, to ask whether refusal "
        "survives fine-tuning. It pulls towards refusal: the adapters of that experiment which pull against it are "
        "local and not published. The weights of the base model are not in here.",
        "",
        "## What it was learnt from",
        "",
        *_learnt(about),
        "",
        "## Base model",
        "",
        _base(about),
        "",
        "## Training",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {words} | {as_cell(_figure(about['settings'][key]))} |" for key, words in _SETTINGS
          if key in about["settings"]),
        "",
        "Chat template and end-of-turn token are the base model's own; only the answers are learnt, with the end of "
        f"their turn. {_course(about)}",
        "",
        "## Directions in weight space",
        "",
        f"For each of {len(about['matrices'])} matrices the direction is the update itself, scale x B x A, divided by "
        "its Frobenius norm, as a thin SVD: `NAME.left` [out, k], `NAME.values` [k], `NAME.right` [in, k] and the norm "
        "`NAME.norm` in `directions.safetensors`. Shapes, spectra, agreement matrix by matrix: `directions.json`.",
        "",
        *_agreement(about),
        "",
        "## How to load it",
        "",
        *_loading(about, repo),
        "",
        "## Intended use",
        "",
        "Research on refusal and its defence: what an update towards refusal looks like, whether fine-tuning undoes "
        "it, and whether a constraint along these directions protects it. It is no safeguard by itself.",
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in _limits(about)),
        "",
        "## Licence",
        "",
        *_licence(about),
        "",
        "## Software",
        "",
        _software(about),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _front_matter(about: Mapping[str, Any]) -> Iterator[str]:
    yield from ("---", "library_name: peft", "pipeline_tag: text-generation")
    if _HUB_NAME.fullmatch(about["model"]):
        yield from (f"base_model: {as_yaml(about['model'])}", "base_model_relation: adapter")
    found = (_HUB_SOURCE.fullmatch(str(source["source"])) for source in _sources(about) if source["rows"])
    datasets = sorted({match[1] for match in found if match})
    if datasets:
        yield from ("datasets:", *(f"- {as_yaml(name)}" for name in datasets))
    yield f"tags: [{', '.join(TAGS)}]"
    # Derived from the base model and several sources: no Hub identifier says that. The section Licence does.
    yield from ("license: other", "license_name: see-the-model-card", f"model_name: {as_yaml(about['name'])}", "---")


def _sources(about: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = about.get("sources", ())
    return found


def _learnt(about: Mapping[str, Any]) -> Iterator[str]:
    rows, keep_all = about["rows"], about["settings"].get("keep_all")
    refuses = "given as refusals" if keep_all else "whose answer refuses"
    helped = f" and {rows['harmless']:,} whose answer helps" if rows.get("harmless") else ""
    yield f"{rows['refusals']:,} dialogues {refuses}{helped}, each counted once. No row of them is in here."
    yield ""
    sources = [{**source, "licence": source["licence"] or "not stated"} for source in _sources(about)]
    if not sources:
        yield "Where they come from was not recorded: the version of refusal_tui that trained this adapter did not."
        return
    yield "| set | source | dialogues with an answer | of them refusals | learnt |"
    yield "|---|---|---|---|---|"
    for source in sources:
        refused = "not asked" if source["refusals"] is None else _share(source["refusals"], source["found"])
        yield (
            f"| {as_cell(source['set'])} | {as_cell(source['name'])} | {source['found']:,} | {refused} "
            f"| {source['rows']:,} |"
        )
    rest = "were learnt all the same" if keep_all else "were left out"
    yield ""
    yield (
        f"Which answers refuse is what refusal_tui's offline judge {as_code(about['settings']['judge'])} says; it errs."
        f" Answers of the set `refusals` that it does not call refusals {rest}."
    )
    yield ""
    yield from sources_table(sources)
    yield ""
    yield "The sha256 is that of the file, or of what was imported, cut to 16 digits; `directions.json` has the whole."
    for words, names in (
        ("Gated, its owners want their terms accepted before it is read", _named(sources, lambda s: s["gated"])),
        ("For evaluation only, says its card; a model that has learnt from it should not be measured on it",
         _named(sources, lambda s: s["eval_only"])),
    ):  # fmt: skip
        if names:
            yield ""
            yield f"**{words}:** {names}."


def _named(sources: Sequence[Mapping[str, Any]], wanted: Any) -> str:
    return ", ".join(dict.fromkeys(as_cell(source["name"]) for source in sources if wanted(source) and source["rows"]))


def _base(about: Mapping[str, Any]) -> str:
    weights = about.get("weights") or {}
    model = as_code(about["model"])
    if weights.get("sha256"):
        files = ", ".join(f"{as_code(name)} sha256 `{digest}`" for name, digest in weights["sha256"].items())
        return f"It was {model}, a folder with {files}. The adapter fits these weights alone."
    if weights.get("revision"):
        return f"It was {model} at commit {as_code(weights['revision'])}. The adapter fits these weights."
    return f"It was {model}. Which version of its weights was not recorded."


def _course(about: Mapping[str, Any]) -> str:
    settings, rows = about["settings"], sum(about["rows"].values())
    times = settings["steps"] * settings["batch_size"] / rows if rows else 0
    losses = ", ".join(f"{loss:.3f}" for loss in about["losses"])
    several = " by seed (this adapter is the first)" if len(about["losses"]) > 1 else ""
    return (
        f"A row was seen {times:.1f} times on average. Loss of the last step, the mean cross-entropy of a token"
        f"{several}: {losses}."
    )


def _agreement(about: Mapping[str, Any]) -> Iterator[str]:
    agreement = about["agreement"]
    mean = agreement["mean"]
    if mean is None:
        yield "**One seed was trained: whether its directions repeat is not known.** Do not read them as a finding."
        return
    pairs = [value for number, row in enumerate(agreement["pairs"]) for value in row[:number]]
    by_matrix = [value for values in agreement["by_matrix"].values() for value in values]
    if mean < HARDLY_REPEATS:
        said = "They hardly repeat. A direction that does not repeat between seeds is no finding."
    elif mean < _WELL:
        said = "They repeat in part: more than unrelated directions would, far from being one and the same."
    else:
        said = "They repeat well."
    yield (
        f"**Agreement: mean cosine {mean:.2f}** between the directions of {len(agreement['pairs'])} trainings that "
        f"differ in their seed alone. Pairs, as means over matrices: {min(pairs):.2f} to {max(pairs):.2f}; single "
        f"matrices: {min(by_matrix):.2f} to {max(by_matrix):.2f}. Unrelated directions have about 0, the same ones 1. "
        f"{said}"
    )


def _loading(about: Mapping[str, Any], repo: str) -> Iterator[str]:
    model = about["model"]
    base = model if _HUB_NAME.fullmatch(model) else "FOLDER_OF_THE_BASE_MODEL"
    matrix = next((name for name in about["matrices"] if _MATRIX.fullmatch(name)), "NAME")
    yield from (
        "```python",
        "from huggingface_hub import hf_hub_download",
        "from peft import PeftModel",
        "from safetensors.torch import load_file",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f'base = "{base}"',
        "tokenizer = AutoTokenizer.from_pretrained(base)",
        f'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), "{repo}")',
        "",
        f'tensors = load_file(hf_hub_download("{repo}", "directions.safetensors"))',
        f'name = "{matrix}"',
        'direction = tensors[f"{name}.left"] * tensors[f"{name}.values"] @ tensors[f"{name}.right"].T  # norm 1',
        "```",
    )


def _limits(about: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Nothing in here measures what the model with this adapter refuses, or whether it refuses too much. Measure "
        "both before use."
    )
    if not about["rows"].get("harmless"):
        yield "No answers that help were learnt beside the refusals: expect it to refuse what need not be refused."
    yield "An update can be subtracted as well as added: the same file can weaken refusal."
    yield "An adapter can repeat what it was trained on. Look at the terms of the sources before sharing it further."
    yield "Topics, languages and ways of asking that the sources do not hold are not covered."
    if about["settings"].get("keep_all"):
        yield "It has also learnt from answers that the offline judge does not call refusals."


def _licence(about: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "No licence has been chosen for the adapter. It was derived from the base model, whose terms apply to it and "
        "are not known to the program that wrote this card, and trained on data with these terms:"
    )
    yield ""
    licences: dict[str, list[str]] = {}
    for source in _sources(about):
        if source["rows"]:
            licences.setdefault(source["licence"] or "not stated", []).append(source["name"])
    for licence, names in sorted(licences.items()):
        yield f"- {as_cell(licence)}: {', '.join(map(as_cell, dict.fromkeys(names)))}"
    if not licences:
        yield "- not recorded"


def _software(about: Mapping[str, Any]) -> str:
    found: Mapping[str, str] = about.get("versions") or {}
    return ", ".join(f"{name} {as_cell(number)}" for name, number in found.items()) or "Not recorded."


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.0%})" if whole else "0"


def _figure(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
