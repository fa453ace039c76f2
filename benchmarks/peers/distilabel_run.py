"""distilabel: a pipeline of one TextGeneration step over an OpenAI-compatible server. Its own Python runs this."""

import json
import sys
import time
from pathlib import Path

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def main() -> None:
    base_url, path, concurrency = sys.argv[1:]
    bodies = [json.loads(line) for line in Path(path).read_text().splitlines()]
    processor, begun = time.process_time(), time.perf_counter()
    with Pipeline(name="beside") as pipeline:
        rows = LoadDataFromDicts(data=[{"instruction": body["messages"][-1]["content"]} for body in bodies])
        model = OpenAILLM(
            model=bodies[0]["model"],
            base_url=base_url,
            api_key="none",
            generation_kwargs={"temperature": 0.0, "max_new_tokens": bodies[0]["max_tokens"]},
        )
        rows >> TextGeneration(llm=model, input_batch_size=int(concurrency))
    answers = pipeline.run(use_cache=False)["default"]["train"]["generation"]
    seconds, used = time.perf_counter() - begun, time.process_time() - processor
    print(json.dumps({"seconds": seconds, "processor": used, "answers": sum(map(bool, answers))}))


if __name__ == "__main__":
    main()
