"""What does an audit's report hold? Sections of tables and figures, the same for screen, command line and page.

What a line of a figure speaks of can be opened: `opens` holds filters of `store/query.py`, "" where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from refusal_tui.audit.report import Report, counted
from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.store.query import quoted
from refusal_tui.text.blocks import Bars, Block, Rows, Section, Shares, Words, filled_steps, is_empty


def sections_of(report: Report) -> list[Section]:
    """All sections in their order; each has something to say, if only that there is nothing."""
    found = []
    for name, title, make in _SECTIONS:
        blocks = [block for block in make(report) if not is_empty(block)]
        found.append(Section(name, title, blocks or [Words("Nothing to show.")]))
    return found


# --- sections --------------------------------------------------------------------------------------------------------


def _labels(report: Report) -> Iterator[Block]:
    heads, confidence = _part(report, "distributions", "heads"), report.sections.get("confidence", {})
    for head, found in heads.items():
        people = f", {found['by_people']:,} by people" if found["by_people"] else ""
        yield Bars(
            head,
            found["counts"],
            {value: _label_term(report, head, value) for value in found["counts"]},
            f"{found['labelled']:,} labelled{people}; entropy {found['entropy_bits']:.2f} bits, "
            f"evenness {found['evenness']:.2f}",
        )
        if head in confidence:
            yield _confidence(head, confidence[head])
    if not heads:
        yield Words("Nobody has labelled these rows: refusal-tui run label")


def _confidence(head: str, found: Mapping[str, Any]) -> Block:
    spread = f"mean {found['mean']:.2f}, deviation {found['std']:.2f}, {found['below']:,} below the threshold"
    if found["values"] == 1:
        return Words(f"Confidence of {head}: always {found['min']:g}, so it says nothing.")
    bins = len(found["histogram"])
    names = [f"{place / bins:.1f} up" for place in range(bins)]
    return filled_steps(f"confidence of {head}", names, found["histogram"], f"{found['rows']:,} with one; {spread}")


def _targets(report: Report) -> Iterator[Block]:
    coverage = report.sections.get("coverage", {})
    if not coverage:
        return
    marks = {True: "✓ met", False: "✗ missed", None: "· not labelled"}
    yield Rows(
        "coverage against the taxonomy's targets",
        ("target", "is", "at least", "at most", ""),
        [(t["name"], t["value"], t["least"], t["most"], marks[t["met"]]) for t in coverage["targets"]],
    )
    yield Bars("prompts and behaviour", _some(coverage["quadrants"]), {})
    for name in ("outcomes", "harms", "topics"):
        yield Bars(name, _some(coverage[name]), {})
    yield Rows(
        "harms that occur together",
        ("harms", "rows"),
        [(" + ".join(pair["harms"]), pair["rows"]) for pair in coverage["harms_together"][:15]],
    )


def _sources(report: Report) -> Iterator[Block]:
    spread = report.sections.get("distributions", {})
    for name, term in (("sources", "dataset"), ("models", "model"), ("splits", "split")):
        counts = spread.get(name, {})
        yield Bars(f"rows by {name[:-1]}", counts, {value: _term(report, term, value) for value in counts})
    by_source = _part(report, "doctor", "labels_by_source")
    yield Shares("refusal3 by source", by_source, {name: _term(report, "dataset", name) for name in by_source})
    drift = spread.get("drift", [])
    yield Rows(
        "drift: how far a source is from all others",
        ("source", "labels", "lengths"),
        [(one["source"], one["labels"], one["lengths"]) for one in drift],
        [_term(report, "dataset", one["source"]) for one in drift],
        remark="Jensen-Shannon distance: 0 alike, 1 nothing in common",
    )


def _texts(report: Report) -> Iterator[Block]:
    spread = report.sections.get("distributions", {})
    for name in ("prompt", "response"):
        lengths = spread.get(f"{name}_length", {"rows": 0})
        if lengths["rows"]:
            names = [*(f"≤ {bound:,}" for bound in lengths["bounds"]), f"> {lengths['bounds'][-1]:,}"]
            remark = f"median {lengths['median']:,.0f}, 95 % up to {lengths['p95']:,.0f}, longest {lengths['max']:,.0f}"
            yield filled_steps(f"characters of the {name}", names, lengths["histogram"], remark)
    by_label = spread.get("response_length_by_label", {})
    yield Rows(
        "characters of the response by label",
        ("label", "rows", "5 %", "median", "95 %"),
        [(name, one["rows"], one["p5"], one["median"], one["p95"]) for name, one in by_label.items() if one["rows"]],
    )
    yield Bars("scripts of the responses", spread.get("scripts", {}), {})
    languages = spread.get("languages") or {}
    yield Bars("languages of the responses", languages.get("counts", {}), {}, languages.get("remark", ""))
    yield from _harm(report.sections.get("toxicity", {}))


def _harm(found: Mapping[str, Any]) -> Iterator[Block]:
    if found.get("responses"):
        yield Bars("insults and threats by source", _some(found["by_source"]), {}, found["calibration"])
    judged = found.get("judged")
    if judged:
        remark = f"{judged['rows']:,} judged ({', '.join(judged['annotators'])})"
        yield Bars("responses labelled harmful, by source", _some(judged["by_source"]), {}, remark)


def _copies(report: Report) -> Iterator[Block]:
    found = report.sections.get("duplicates", {})
    if not found:
        return
    names = ("rows", "repeated_rows", "distinct_prompts", "prompt_clusters", "near_duplicate_prompts")
    yield Rows("how much is there twice", ("", ""), [(name.replace("_", " "), found[name]) for name in names])
    clusters = found["largest_prompt_clusters"]
    yield Rows(
        "largest clusters of prompts",
        ("cluster", "prompts", "rows"),
        [(one["name"], one["prompts"], one["rows"]) for one in clusters],
        [f"id:{one['item_ids']}" for one in clusters],
        [one["name"] if one["later"] else "" for one in clusters],
        "jailbreak wrappers taken off; leaving one out keeps its first prompt",
    )
    pairs = found.get("between_sources", [])[:20]
    yield Rows(
        "data sets that ask the same",
        ("rows of", "also in", "rows", "share"),
        [(one["of"], one["among"], one["rows"], one["share"]) for one in pairs],
        [_term(report, "dataset", one["of"]) for one in pairs],
    )
    against = found.get("contamination")
    if against:
        yield Words(
            f"Against {against['against']}: {against['rows']:,} of {against['of']:,} rows ask the same, "
            f"{against['exact']:,} of them word for word."
        )
    alike = found["response_clusters"]
    yield Rows(
        "largest clusters of responses",
        ("first row", "rows", "labels"),
        [(one["item_id"], one["rows"], _counted(one["labels"])) for one in alike],
        [f"id:{one['item_ids']}" for one in alike],
        remark="refusals are alike by nature: nothing of this is left out",
    )


def _pii(report: Report) -> Iterator[Block]:
    found = report.sections.get("pii", {})
    if not found:
        return
    names = "with names of persons" if found["names_looked_for"] else "names of persons were not looked for (--names)"
    personal = next((f.filter for f in report.findings if f.check == "personal-data"), "")
    yield Rows(
        f"personal data in {counted(found['rows'], 'row', 'rows')}",
        ("type", "places", "check passed", "in prompts"),
        [(kind, one["spans"], one["passed"], one["in_prompts"]) for kind, one in found["types"].items()],
        [personal] * len(found["types"]),
        remark=names,
    )
    if not found["types"]:
        yield Words(f"None was found; {names}.")
    yield Words("Values are never shown here; places and types are in pii_spans.jsonl.")


def _doctor(report: Report) -> Iterator[Block]:
    found, invariants = report.sections.get("doctor", {}), report.sections.get("invariants", {})
    area = found.get("source_probe_area")
    yield Rows(
        "is the label tied to where a row comes from?",
        ("", ""),
        [
            ("Cramer's V of source and refusal3 (0 to 1)", found.get("association")),
            ("source told from the text, area under the curve", area),
            ("labelled rows that the models have read", found.get("probed_rows")),
        ],
    )
    worst = [f for f in report.findings if f.check in _DOCTOR]
    yield Rows(
        "what it has found",
        ("check", "level", "rows", "figure"),
        [(f.name, f.level.value, f.rows, None if f.statistic is None else f.statistic.value) for f in worst],
        [f.filter for f in worst],
    )
    if not worst:
        yield Words("No check of the label doctor has anything to say.")
    yield Bars("labels that contradict each other, by invariant", invariants, {})
    for one in report.not_run:
        yield Words(f"Not run: {one.check}. {one.reason}")


def _agreement(report: Report) -> Iterator[Block]:
    pairs = report.sections.get("agreement", [])
    yield Rows(
        "who agrees with whom",
        ("head", "one", "other", "rows", "agree", "kappa", "95 %"),
        [
            (p["head"], p["one"], p["other"], p["rows"], p["percent"]["value"], p["kappa"]["value"],
             f"{_figure(p['kappa']['low'])} to {_figure(p['kappa']['high'])}")
            for p in pairs
        ],
        remark="intervals over prompts; refusal-tui agreement has more",
    )  # fmt: skip
    if not pairs:
        yield Words("No two annotators have labelled ten of the same rows.")


_DOCTOR = frozenset(
    {
        "source-label", "single-class-source", "source-probe", "detector-by-source", "opening-against-label",
        "judge-against-people", "confidence-scale", "position-bias", "split-leak", "suspected-labels", "invariants",
    }
)  # fmt: skip
_SECTIONS: tuple[tuple[str, str, Callable[[Report], Iterable[Block]]], ...] = (
    ("labels", "Labels and confidence", _labels),
    ("targets", "Coverage", _targets),
    ("sources", "Sources and drift", _sources),
    ("texts", "Texts", _texts),
    ("copies", "Duplicates and leaks", _copies),
    ("pii", "Personal data", _pii),
    ("doctor", "Label doctor", _doctor),
    ("agreement", "Agreement", _agreement),
)
NAMES = tuple(name for name, _, _ in _SECTIONS)


# --- helpers ---------------------------------------------------------------------------------------------------------


def _part(report: Report, section: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = report.sections.get(section, {}).get(name) or {}
    return found


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _term(report: Report, field: str, value: str) -> str:
    """The audited rows with this value; "" for what stands for several ("(3 more)")."""
    return "" if value.startswith("(") else f"{report.selection} {field}={quoted(value)}".strip()


def _label_term(report: Report, head: str, value: str) -> str:
    if value.startswith("(") or head not in (REFUSAL3, *BOOLEAN_HEADS):
        return ""
    return f"{report.selection} {'label' if head == REFUSAL3 else f'label.{head}'}:{value}".strip()


def _figure(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"
