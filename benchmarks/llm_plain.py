"""The loop that one would write by hand: asyncio, a semaphore, the openai SDK, answers in a list. It keeps nothing.

    python -m benchmarks.llm_plain BASE_URL BODIES.jsonl CONCURRENCY httpx|aiohttp

Prints one line of JSON: seconds of the run, processor seconds, answers.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import openai

STANDARD = {"model", "messages", "temperature", "max_tokens", "logprobs", "top_logprobs", "response_format"}


async def ask_all(base_url: str, bodies: list[dict[str, Any]], concurrency: int, transport: str) -> list[str | None]:
    http_class = openai.DefaultAioHttpClient if transport == "aiohttp" else openai.DefaultAsyncHttpxClient
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none", http_client=http_class())
    places = asyncio.Semaphore(concurrency)

    async def ask(body: dict[str, Any]) -> str | None:
        async with places:
            answer = await client.chat.completions.create(**body)
            return answer.choices[0].message.content

    try:
        return await asyncio.gather(*map(ask, bodies))
    finally:
        await client.close()


def arguments_of(body: dict[str, Any]) -> dict[str, Any]:
    """Fields that the SDK does not know go into its `extra_body`."""
    known = {name: value for name, value in body.items() if name in STANDARD}
    more = {name: value for name, value in body.items() if name not in STANDARD}
    return known | ({"extra_body": more} if more else {})


def main() -> None:
    base_url, path, concurrency, transport = sys.argv[1:]
    bodies = [arguments_of(json.loads(line)) for line in Path(path).read_text().splitlines()]
    processor, begun = time.process_time(), time.perf_counter()
    answers = asyncio.run(ask_all(base_url, bodies, int(concurrency), transport))
    seconds, used = time.perf_counter() - begun, time.process_time() - processor
    sys.stdout.write(json.dumps({"seconds": seconds, "processor": used, "answers": sum(map(bool, answers))}) + "\n")


if __name__ == "__main__":
    main()
