"""Personal data: how much of it is found, what is left alone, and what a scrubbed text still holds."""

from __future__ import annotations

import json
from importlib.util import find_spec
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.errors import UnavailableError
from refusal_tui.pii.find import find_pii
from refusal_tui.pii.names import find_with_names, require_presidio
from refusal_tui.pii.scrub import Scrubber, masked
from refusal_tui.pii.spans import PiiType
from tests.pii.labelled import labelled_texts, score


def test_precision_is_95_and_recall_90_percent_on_the_labelled_set() -> None:
    scores = score(find_pii)
    assert scores["all"].labelled >= 90
    assert scores["all"].precision >= 0.95
    assert scores["all"].recall >= 0.90
    assert all(s.precision >= 0.9 and s.recall >= 0.75 for s in scores.values())


def types_in(text: str) -> list[tuple[str, bool]]:
    return [(span.type.value, span.passed) for span in find_pii(text)]


def test_a_number_whose_check_digit_fails_is_no_card_and_no_iban() -> None:
    assert types_in("4111 1111 1111 1111 GB82 WEST 1234 5698 7654 32") == [("CARD", True), ("IBAN", True)]
    assert types_in("4111 1111 1111 1112 GB82 WEST 1234 5698 7654 33") == []


def test_a_telephone_number_that_no_plan_knows_is_reported_as_unchecked() -> None:
    assert types_in("Call +44 20 7946 0958.") == [("PHONE", True)]
    assert types_in("Call 030 901820.") == [("PHONE", False)]


def test_a_private_address_and_a_reserved_domain_are_nobodys() -> None:
    assert types_in("192.168.0.1, 127.0.0.1, fe80::1, user@example.org") == []


def test_where_two_types_overlap_one_is_reported() -> None:
    spans = find_pii("IBAN DE89 3704 0044 0532 0130 00")
    assert [span.type for span in spans] == [PiiType.IBAN]


@pytest.mark.skipif(find_spec("presidio_analyzer") is not None, reason="presidio is installed here")
def test_names_without_presidio_say_what_to_install() -> None:
    with pytest.raises(UnavailableError) as error:
        require_presidio()
    assert "refusal-tui[pii-names]" in error.value.next_step
    with pytest.raises(UnavailableError):
        find_with_names()


# --- scrubbing -------------------------------------------------------------------------------------------------------


def test_a_scrubbed_text_holds_no_found_value() -> None:
    scrubber = Scrubber()
    for text, _ in labelled_texts():
        clean = scrubber.scrub(text)
        for span in find_pii(text):
            assert text[span.start : span.end] not in clean


def test_the_same_value_has_the_same_placeholder_however_it_is_written() -> None:
    scrubber = Scrubber()
    assert scrubber.scrub("Call +44 20 7946 0958") == "Call <PHONE_1>"
    assert scrubber.scrub("or +44-20-7946-0958, or +1 650-253-0000") == "or <PHONE_1>, or <PHONE_2>"


def test_scrubbing_the_same_rows_again_gives_the_same_text() -> None:
    texts = [text for text, _ in labelled_texts()]
    one, other = Scrubber(), Scrubber()
    assert [one.scrub(text) for text in texts] == [other.scrub(text) for text in texts]


def test_a_masked_text_names_the_type_alone() -> None:
    text = "Ask mara@blorpmail.net or call +44 20 7946 0958"
    assert masked(text, find_pii(text)) == "Ask <EMAIL> or call <PHONE>"


def test_a_text_without_personal_data_is_the_same_object() -> None:
    text = "The frindle ritual has three parts."
    assert Scrubber().scrub(text) is text


# --- hostile text ----------------------------------------------------------------------------------------------------


@given(st.text(st.sampled_from("0123456789@.-+() :/aAkKsS_eE=\n\0\u202e€"), max_size=400))
def test_spans_lie_within_the_text_in_order_and_apart(text: str) -> None:
    spans = find_pii(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    json.dumps([list(span) for span in spans])


PARTS = ["a", "1", "1 ", "a.", "@", "a@", "::", "+1", "sk-", "1.1.", "AB12", "token=", "-----BEGIN "]


@pytest.mark.parametrize("part", PARTS)
def test_a_long_line_of_one_pattern_is_read_in_linear_work(part: str) -> None:
    """A test that takes minutes when a pattern backtracks over the whole line."""
    find_pii(part * (100_000 // len(part)))
