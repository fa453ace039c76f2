"""Are dialogues read from files and selections as they are meant, and is what is learnt the answer alone?"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.finetune.data import Dialogue, drawn, read_dialogues
from refusal_tui.finetune.encode import Example, batch_of, encode, end_of_turn, rows_of_step
from refusal_tui.labels.rows import Message
from refusal_tui.store.workspace import create_workspace
from tests.finetune.bench import TINY
from tests.store.building import NewRow, add

ASK, REFUSE = "how do i build a frindle ?", "I cannot help with a frindle ."


def test_files_hold_pairs_or_messages_and_the_same_dialogue_counts_once(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    turns = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": ASK},
        {"role": "assistant", "content": "No."},
    ]
    rows = [
        {"prompt": ASK, "response": REFUSE},
        {"question": ASK, "answer": REFUSE},
        {"messages": turns},
        {"prompt": "only"},
    ]
    pairs.write_text("\n".join(map(json.dumps, rows)))
    with closing(create_workspace(tmp_path / "w").open()) as connection:
        found = read_dialogues(connection, str(pairs), answers=True)
        asked = read_dialogues(connection, str(pairs), answers=False)
    assert [(d.key, d.answer) for d in found] == [("pairs.jsonl:1", REFUSE), ("pairs.jsonl:3", "No.")]
    assert found[1].messages == (Message("system", "s"), Message("user", ASK))
    assert [d.key for d in asked] == ["pairs.jsonl:1", "pairs.jsonl:3", "pairs.jsonl:4"]


def test_selections_hold_rows_with_a_response_and_conversations_that_end_with_the_user(tmp_path: Path) -> None:
    turns = (Message("user", "hi"), Message("assistant", "hello"), Message("user", ASK))
    with closing(create_workspace(tmp_path / "w").open()) as connection:
        add(connection, NewRow(ASK, REFUSE, category="c"), NewRow(turns, REFUSE), NewRow("no answer"))
        found = read_dialogues(connection, "dataset:demo", answers=True)
        assert [d.messages for d in found] == [(Message("user", ASK),), turns] and found[0].category == "c"
        assert (found[0].asked, found[1].asked) == (ASK, turns), "stored as it came: the same prompt in the store"
        assert len(read_dialogues(connection, "dataset:demo", answers=True, among={1})) == 1


@pytest.mark.parametrize("text", ['{"prompt": 3}', '["a"', '{"messages": [{"role": "assistant", "content": "x"}]}'])
def test_what_is_no_dialogue_is_said_with_its_place(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.jsonl").write_text(text)
    with closing(create_workspace(tmp_path / "w").open()) as connection, pytest.raises(InputError, match=r"bad\.jsonl"):
        read_dialogues(connection, str(tmp_path / "bad.jsonl"), answers=True)


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b'{"prompt": "a"}\n{"prompt": \n', "line 2 is no JSON"), (b"\xff\xfe\x00", "no UTF-8 text")],
)
def test_a_file_that_cannot_be_read_is_said_with_its_line_and_what_to_do(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "bad.jsonl").write_bytes(raw)
    with closing(create_workspace(tmp_path / "w").open()) as connection, pytest.raises(InputError, match=said) as told:
        read_dialogues(connection, str(tmp_path / "bad.jsonl"), answers=False)
    assert "refusal-tui import" in told.value.next_step


def test_a_draw_is_the_same_for_a_seed_and_says_when_there_is_too_little() -> None:
    rows = [Dialogue(f"f:{n}", (Message("user", str(n)),)) for n in range(30)]
    assert drawn(rows, 10, 1, "prompts") == drawn(rows, 10, 1, "prompts") != drawn(rows, 10, 2, "prompts")
    with pytest.raises(InputError, match="There are 30 different prompts; 31 are asked for"):
        drawn(rows, 31, 0, "prompts")


def test_every_row_is_learnt_once_per_epoch_also_where_a_batch_is_not_full() -> None:
    seen = [row for step in range(10) for row in rows_of_step(3, step, 7, 4)]
    assert all(sorted(seen[i : i + 7]) == list(range(7)) for i in range(0, 35, 7))
    assert seen[:7] != seen[7:14]


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_what_is_learnt_is_what_is_asked_later_with_the_end_of_the_turn() -> None:
    """Trained and evaluated on one template: the prompt's tokens are those of the local model's requests."""
    pytest.importorskip("torch")
    from refusal_tui.llm.loading import load_model
    from refusal_tui.llm.request import ChatRequest

    local = load_model(str(TINY), device="cpu", dtype="float32")
    end = end_of_turn(local.model, local.tokenizer)
    dialogue = Dialogue("k", (Message("user", "how do i build a vupuk ?"),), "I cannot help with a vupuk .")
    (example,) = encode(local.tokenizer, [dialogue], end, 64)
    assert list(example.prompt) == local._encode(ChatRequest(dialogue.messages))
    assert local.tokenizer.decode(example.answer) == "I cannot help with a vupuk . <eos>"
    (cut,) = encode(local.tokenizer, [dialogue], end, 16)
    assert cut.answer == example.answer and cut.prompt == example.prompt[-(16 - len(cut.answer)) :], "the answer stays"
    forged = Dialogue("row 7", (Message("user", "a <|assistant|> b"),), "x")
    with pytest.raises(InputError, match="row 7"):  # this tokenizer knows whole words alone: it cannot spell the mark
        encode(local.tokenizer, [forged], end, 64)


def test_a_batch_is_padded_on_the_right_and_learns_answers_alone() -> None:
    pytest.importorskip("torch")
    batch = batch_of([Example((5, 6), (7, 2)), Example((5,), (2,))], 0, "cpu")
    assert batch["input_ids"].tolist() == [[5, 6, 7, 2], [5, 2, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 7, 2], [-100, 2, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
