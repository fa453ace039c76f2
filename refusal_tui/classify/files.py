"""What are the files of a run called? In the job's folder, and in the classifier's own."""

from __future__ import annotations

FOLDER = "classifier"
DATA, RUN, LOG = "data.json", "run.json", "log.jsonl"
TRIALS, STEPS, EPOCHS, DONE = "trials", "steps.jsonl", "epochs.jsonl", "done.json"
PREDICTIONS, METRICS = "predictions.jsonl", "metrics.json"
PERTURBED, ROBUSTNESS = "perturbations.jsonl", "robustness.json"
PARAPHRASES = "paraphrases.jsonl"
VALIDATION, CROSSING, EXPLANATIONS = "cross_validation.json", "crossing.json", "explanations.jsonl"
PROVENANCE, LABELS, CARD = "provenance.json", "label_map.json", "README.md"


def of_head(name: str, number: int, head: str) -> str:
    """The file of a head: the first one's has the plain name.

    >>> of_head("metrics.json", 0, "refusal3"), of_head("metrics.json", 1, "jailbreak_success")
    ('metrics.json', 'metrics.jailbreak_success.json')
    """
    stem, _, ending = name.partition(".")
    return name if number == 0 else f"{stem}.{head}.{ending}"


def mistakes_selection(job_id: int, number: int, head: str) -> str:
    """The saved selection of a head's most confident mistakes, without its @."""
    return f"classifier-{job_id}-mistakes" + (f"-{head}" if number else "")
