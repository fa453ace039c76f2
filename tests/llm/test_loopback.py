"""The loopback server itself: repeatable, and usable from another process."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from tests.support.loopback_answers import instance_of
from tests.support.loopback_faults import FLAKY, Fault, Faults

ROOT = Path(__file__).parents[2]


def test_faults_depend_on_seed_row_and_try_alone() -> None:
    plan = [FLAKY.of(1, str(row), 1) for row in range(20_000)]
    assert plan == [FLAKY.of(1, str(row), 1) for row in range(20_000)]
    assert plan != [FLAKY.of(2, str(row), 1) for row in range(20_000)]
    shares = {fault: count / 20_000 for fault, count in Counter(plan).items()}
    assert abs(shares[Fault.RATE_LIMIT] - 0.02) < 0.005 and abs(shares[Fault.TRUNCATED] - 0.005) < 0.002


def test_a_refusal_belongs_to_the_row_and_a_transport_fault_to_the_try() -> None:
    faults = Faults(server_error=0.5, judge_refusal=0.5)
    refusing = [row for row in map(str, range(100)) if faults.of(0, row, 9) is Fault.JUDGE_REFUSAL]
    assert refusing
    for row in refusing:
        assert {faults.of(0, row, n) for n in range(20)} == {Fault.SERVER_ERROR, Fault.JUDGE_REFUSAL}


def test_answers_fit_their_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "refusal": {"enum": ["none", "hard"]},
            "harmful": {"type": "boolean"},
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
            "why": {"type": ["string", "null"]},
        },
    }
    for row in map(str, range(50)):
        value = instance_of(schema, row, 0)
        assert value["refusal"] in ("none", "hard") and isinstance(value["harmful"], bool)
        assert 1 <= value["score"] <= 5 and (value["why"] is None or isinstance(value["why"], str))


def test_as_a_process_it_prints_its_port_and_counts_requests() -> None:
    command = [sys.executable, "-m", "tests.support.loopback", "--server-error", "1", "--obeys", ""]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base = f"http://127.0.0.1:{int(process.stdout.readline())}"
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "[row 5] hi"}]}).encode()
            request = urllib.request.Request(f"{base}/v1/chat/completions", body)
            try:
                urllib.request.urlopen(request, timeout=10)
            except urllib.error.HTTPError as error:
                assert error.code == 500
                error.close()
            with urllib.request.urlopen(f"{base}/stats", timeout=10) as answer:
                stats = json.load(answer)
        finally:
            process.terminate()
    assert stats["rows"] == {"5": 1} and stats["requests"] == 1 and stats["statuses"] == {"500": 1}
