"""curator: an LLM over rows, through its openai back end. Its own Python runs this."""

import json
import sys
import time
from pathlib import Path

from bespokelabs import curator


class Answerer(curator.LLM):
    def prompt(self, input: dict) -> str:
        return input["instruction"]

    def parse(self, input: dict, response: str) -> dict:
        return {"generation": response}


def main() -> None:
    base_url, path, concurrency = sys.argv[1:]
    bodies = [json.loads(line) for line in Path(path).read_text().splitlines()]
    processor, begun = time.process_time(), time.perf_counter()
    answerer = Answerer(
        model_name=bodies[0]["model"],
        backend="openai",
        backend_params={
            "base_url": base_url,
            "api_key": "none",
            "max_requests_per_minute": 1_000_000,
            "max_tokens_per_minute": 1_000_000_000,
            "max_concurrent_requests": int(concurrency),
        },
        generation_params={"temperature": 0.0, "max_tokens": bodies[0]["max_tokens"]},
    )
    found = answerer([{"instruction": body["messages"][-1]["content"]} for body in bodies])
    rows = found.dataset if hasattr(found, "dataset") else found
    seconds, used = time.perf_counter() - begun, time.process_time() - processor
    print(json.dumps({"seconds": seconds, "processor": used, "answers": sum(map(bool, rows["generation"]))}))


if __name__ == "__main__":
    main()
