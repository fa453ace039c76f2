"""Whose label does a row of the final dataset get?"""

from __future__ import annotations

from refusal_tui.export.resolve import Resolved, Said, resolve

Vote = tuple[str, str, str]  # head, annotator, value


def resolved(*votes: Vote, **settled: tuple[str, str]) -> Resolved:
    """Votes in the order in which they were given."""
    said = [Said(h, who, "xstest" if h == "refusal3" else "", value, 0.9, n) for n, (h, who, value) in enumerate(votes)]
    return resolve(said, settled)


def of(found: Resolved, head: str = "refusal3") -> tuple[str, str, tuple[str, ...]]:
    chosen = found.labels[head]
    return chosen.value, chosen.rank.value, chosen.by


def test_people_before_a_panel_before_the_latest_judge() -> None:
    judges = [("refusal3", "judge:early", "none"), ("refusal3", "judge:late", "hard")]
    panel = ("refusal3", "judge:majority/atoms", "soft")
    assert of(resolved(*judges)) == ("hard", "judge", ("judge:late",))
    assert of(resolved(panel, *judges)) == ("soft", "panel", ("judge:majority/atoms",))
    person = ("refusal3", "human:ann", "none")
    assert of(resolved(person, panel, *judges)) == ("none", "human", ("human:ann",))


def test_most_people_decide_and_a_consensus_computed_from_them_is_no_vote() -> None:
    people = [("refusal3", f"human:{name}", value) for name, value in (("a", "hard"), ("b", "soft"), ("c", "hard"))]
    assert of(resolved(*people)) == ("hard", "human", ("human:a", "human:c"))
    computed = ("refusal3", "human:majority/refusal3", "soft")
    assert of(resolved(*people[:1], computed)) == ("hard", "human", ("human:a",))


def test_what_was_settled_counts_where_people_differ() -> None:
    votes = [("refusal3", "human:a", "hard"), ("refusal3", "human:b", "soft"), ("refusal3", "human:c", "soft")]
    assert of(resolved(*votes, refusal3=("hard", "human:a"))) == ("hard", "adjudicated", ("human:a",))
    agreed = [("refusal3", "human:a", "hard"), ("refusal3", "human:c", "hard")]
    assert of(resolved(*agreed, refusal3=("hard", "human:c"))) == ("hard", "human", ("human:a", "human:c"))


def test_no_judge_decides_between_people_who_are_split() -> None:
    split = [("refusal3", "human:a", "hard"), ("refusal3", "human:b", "none")]
    found = resolved(*split, ("refusal3", "judge:x", "hard"), ("head_a", "judge:x", "REFUSAL.DIRECT"))
    assert (found.labels, found.split) == ({}, ("refusal3",))


def test_a_machine_s_label_that_contradicts_a_person_s_is_left_out_and_the_rest_stays() -> None:
    judge = [
        ("head_a", "judge:x", "REFUSAL.DIRECT"), ("head_b", "judge:x", "STYLE.DIRECT"),
        ("response_refusal", "judge:x", "yes"), ("prompt_harmful", "judge:x", "yes"),
    ]  # fmt: skip
    found = resolved(("refusal3", "human:a", "none"), *judge)
    assert set(found.labels) == {"refusal3", "head_b", "prompt_harmful"}
    assert found.contradicted == ("head_a", "response_refusal")
    assert resolved(("refusal3", "human:a", "hard"), *judge).contradicted == ()
    assert resolved(("response_harmful", "human:a", "yes"), *judge).contradicted == ("head_a",)


def test_over_refusal_says_that_it_refused_and_not_how() -> None:
    over = ("head_a", "judge:x", "REFUSAL.OVER")
    assert resolved(("refusal3", "human:a", "soft"), over).contradicted == ()
    assert resolved(("refusal3", "human:a", "none"), over).contradicted == ("head_a",)


def test_what_one_annotator_says_is_the_audit_s_business() -> None:
    found = resolved(("refusal3", "judge:x", "none"), ("head_a", "judge:x", "REFUSAL.DIRECT"))
    assert set(found.labels) == {"refusal3", "head_a"}
