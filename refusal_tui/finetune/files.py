"""What are the files of a run called, in the job's folder?"""

from __future__ import annotations

# Of both kinds of runs: what was read, and what the run is.
DATA, RUN = "data.json", "run.json"
SOURCES = "sources.json"  # of a refusal adapter: where its rows come from, counted when they were read
TRIALS, STEPS, DONE, CHECKPOINTS = "trials", "steps.jsonl", "done.json", "checkpoints"
ADAPTER = "adapter"  # a folder that peft reads
ARM_ADAPTER = "local-only-adapter"  # of an arm: it pulls against refusal and is not uploaded
NOTE = "refusal_tui.json"  # beside an adapter: what it was learnt from
# Of a refusal adapter: tensors NAME.left [out, k], NAME.values [k], NAME.right [in, k] per matrix, and what they are.
DIRECTIONS, DIRECTIONS_CARD = "directions.safetensors", "directions.json"
# Of a robustness run: a line per checkpoint that was evaluated.
EVALUATIONS = "evaluations.jsonl"
BASE = "base"  # the trial of the model as it is
