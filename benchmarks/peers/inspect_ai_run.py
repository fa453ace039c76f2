"""inspect_ai: a task of one `generate` over an OpenAI-compatible server, without a scorer. Its own Python runs this."""

import json
import sys
import tempfile
import time
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.solver import generate


def main() -> None:
    base_url, path, concurrency = sys.argv[1:]
    bodies = [json.loads(line) for line in Path(path).read_text().splitlines()]
    processor, begun = time.process_time(), time.perf_counter()
    config = GenerateConfig(temperature=0.0, max_tokens=bodies[0]["max_tokens"], max_connections=int(concurrency))
    model = get_model(
        f"openai/{bodies[0]['model']}", base_url=base_url, api_key="none", responses_api=False, config=config
    )
    samples = [Sample(input=body["messages"][-1]["content"], id=number) for number, body in enumerate(bodies)]
    with tempfile.TemporaryDirectory() as folder:
        (log,) = eval(
            Task(dataset=MemoryDataset(samples), solver=generate()), model=model, log_dir=folder, display="none",
            max_samples=int(concurrency), max_connections=int(concurrency), fail_on_error=True,
        )  # fmt: skip
        answers = sum(bool(sample.output.completion) for sample in log.samples or [])
    seconds, used = time.perf_counter() - begun, time.process_time() - processor
    print(json.dumps({"seconds": seconds, "processor": used, "answers": answers}))


if __name__ == "__main__":
    main()
