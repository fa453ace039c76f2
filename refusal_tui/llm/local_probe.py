"""What can weights in this process do? Found out by loading them in a process of their own: a face never loads torch.

python -m refusal_tui.llm.local_probe MODEL
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import replace

from refusal_tui.errors import RefusalTuiError, UnavailableError
from refusal_tui.labels.rows import Message
from refusal_tui.llm.ladder import IN_PROCESS, Capabilities
from refusal_tui.llm.loading import load_model
from refusal_tui.llm.local import LocalModel
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, Sampling

_PROBE_TOKENS = 24


def probe_weights(model: str) -> Capabilities:
    """Load the model in a process of its own and look. Raises UnavailableError, saying why that cannot be done."""
    done = subprocess.run(
        [sys.executable, "-m", "refusal_tui.llm.local_probe", model], capture_output=True, text=True, check=False
    )
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        why = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        if done.returncode < 0:
            why = "it was killed, most likely for want of memory"
        raise UnavailableError(f"The model {model!r} cannot be tried: {why}", "Try a smaller model.") from None
    if "error" in said:
        raise UnavailableError(said["error"], said["next_step"])
    return Capabilities.from_json(said)


def look(model: str) -> Capabilities:
    """Load the weights in this process and ask them. Raises UnavailableError."""
    started = time.perf_counter()
    loaded = load_model(model)
    seconds = time.perf_counter() - started
    hello, letters = Message("user", "Say hello."), Message("user", "Write letters.")
    plain = _answer(loaded, Sampling(max_tokens=_PROBE_TOKENS), hello)
    system = _answer(loaded, Sampling(max_tokens=1), Message("system", "Be brief."), hello)
    samples = [_answer(loaded, Sampling(temperature=1.0, max_tokens=_PROBE_TOKENS, seed=n), letters) for n in (7, 7, 8)]
    if isinstance(plain, CallFailure):
        raise UnavailableError(f"The model {model!r} does not answer: {plain.message}", "Choose another model.")
    texts = [sample.text for sample in samples if isinstance(sample, Reply)]
    size = sum(weights.numel() for weights in loaded.model.parameters())
    return replace(
        IN_PROCESS,
        seed=len(texts) == 3 and texts[0] == texts[1] != texts[2],
        system_role=isinstance(system, Reply),
        context_length=loaded.context_length,
        models=(model,),
        notes=(
            f"{size:,} parameters on {loaded.model.device}, {str(loaded.model.dtype).removeprefix('torch.')}, "
            f"loaded in {seconds:.1f} s",
            f"{_PROBE_TOKENS} tokens in {plain.latency:.2f} s for a single question; batches are much faster",
        ),
    )


def _answer(loaded: LocalModel, sampling: Sampling, *turns: Message) -> Reply | CallFailure:
    return loaded.generate([ChatRequest(turns, sampling)])[0]


def main(arguments: list[str]) -> int:
    """The last line of standard output is JSON: the capabilities, or an error with its next step."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what libraries print
            found = look(arguments[0])
    except RefusalTuiError as error:
        print(json.dumps({"error": str(error), "next_step": error.next_step}))
        return int(error.exit_code)
    print(json.dumps(found.to_json()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
