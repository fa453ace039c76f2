"""What the Agreement screen decides, without a screen."""

from __future__ import annotations

from refusal_tui.review.agreement_report import Alone, Asked, Figures, HeadAgreement, Pair
from refusal_tui.stats.intervals import Interval
from refusal_tui.tui.screens.agreement_lines import agreement_lines, below
from refusal_tui.tui.state.agreement import AgreementState, GridCell

FIGURES = Figures(12, 12, {"percent": Interval(0.9, 0.7, 1.0), "kappa": Interval(0.8, 0.5, 1.0)})
MATRIX = ((4, 1, 0), (0, 2, 3), (2, 0, 0))


def pair(one: str = "human:ada", other: str = "human:bea", matrix=MATRIX) -> Pair:
    filters = tuple(tuple(f"id:{i}{j}" if n else None for j, n in enumerate(line)) for i, line in enumerate(matrix))
    return Pair(one, other, FIGURES, (), matrix, filters, "id:1", ())


def report(head: str = "refusal3", *pairs: Pair, labels=("none", "soft", "hard"), alone=()) -> HeadAgreement:
    return HeadAgreement(head, labels, ("human:ada", "human:bea"), None, None, pairs, tuple(alone), ())


def state(*heads: HeadAgreement, key: str | None = None) -> AgreementState:
    return AgreementState(Asked(), list(heads), key=key)


def test_the_worst_cell_is_the_most_frequent_disagreement() -> None:
    assert state(report("refusal3", pair()), key="pair:0").worst_cell() == GridCell(1, 2)


def test_where_nobody_disagrees_it_is_the_first_cell() -> None:
    agreed = pair(matrix=((4, 0, 0), (0, 2, 0), (0, 0, 9)))
    assert state(report("refusal3", agreed), key="pair:0").worst_cell() == GridCell(0, 0)


def test_only_a_pair_can_open_rows() -> None:
    alone = Alone("human:ada", FIGURES, MATRIX)
    found = state(report("refusal3", pair(), alone=[alone]), key="pair:0")
    assert found.filter_of(GridCell(1, 2)) == "id:12" and found.filter_of(GridCell(0, 2)) is None
    found.key = "alone:0"
    assert found.matrix == MATRIX and found.filter_of(GridCell(1, 2)) is None


def test_heads_go_round_and_one_that_has_gone_gives_way_to_the_first() -> None:
    found = state(report("refusal3"), report("prompt_harmful"))
    found.next_head()
    assert found.shown is not None and found.shown.head == "prompt_harmful"
    found.next_head()
    assert found.shown.head == "refusal3"
    found.head = "gone"
    assert found.shown.head == "refusal3"


def test_queues_go_round_with_all_rows_between() -> None:
    found = state(report())
    found.queues = ("second", "first")
    seen = []
    for _ in range(4):
        found.wanted = found.next_queue()
        seen.append(found.wanted.queue)
    assert seen == ["second", "first", None, "second"]


def test_parts_are_shown_from_the_start_where_there_are_few_pairs() -> None:
    assert state(report("refusal3", pair())).with_parts
    assert not state(report("refusal3", *[pair(other=f"human:{n}") for n in range(4)])).with_parts


def test_a_line_that_has_gone_chooses_nothing() -> None:
    found = state(report("refusal3", pair()), key="pair:7")
    assert found.pair is None and found.matrix == ()


def test_lines_fit_the_screen_whatever_the_names() -> None:
    long = pair("human:" + "a" * 60, "judge:" + "漢" * 60)
    for width in (74, 114):
        lines = agreement_lines(state(report("refusal3", long)), width)
        assert max(line.content.cell_length for line in lines) <= width


def test_long_class_names_stay_over_their_columns() -> None:
    names = ("REFUSAL.DIRECT", "REFUSAL.SOFT", "COMPLIANCE.FULL")
    _, grid = below(state(report("head_a", pair(), labels=names), key="pair:0"), 78)
    assert [column.plain for column in grid.columns] == ["DIRECT", "REFUSAL.SOFT", "FULL"]
    assert all(column.cell_length <= grid.column_width - 2 for column in grid.columns)
