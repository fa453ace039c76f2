"""Measure and print the tables of docs/benchmarks.md.

    python -m benchmarks                     all but those that take long (ten minutes on two cores)
    python -m benchmarks startup wire        some of it
    python -m benchmarks llm llm-memory      jobs that ask language models (about an hour); BENCH_PEERS=1 measures other
                                             tools beside them, in environments of their own
    python -m benchmarks --write             and put the tables into docs/benchmarks.md
    python -m benchmarks --quick             small sizes: does it still work? Its figures mean nothing

Each figure stands beside a peer or limit of the same run. Nothing here is ever a test: a busy machine must not fail.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.report import machine, table

# name -> (module, title)
BENCHMARKS = {
    "import": ("benchmarks.import_rate", "Import"),
    "browse": ("benchmarks.browse", "Browse"),
    "startup": ("benchmarks.startup", "Start-up"),
    "engine": ("benchmarks.engine", "Job engine"),
    "wire": ("benchmarks.wire", "Bytes on the wire"),
    "review": ("benchmarks.review", "Labelling by hand"),
    "final-export": ("benchmarks.final_export", "Final dataset"),
    "audit": ("benchmarks.audit", "Audit"),
    "direction": ("benchmarks.direction", "Refusal directions"),
    "direction-gpu": ("benchmarks.direction_gpu", "Refusal directions on a GPU"),
    "classify": ("benchmarks.classify", "Training and evaluation of classifiers"),
    "classify-gpu": ("benchmarks.classify_gpu", "Training and evaluation of classifiers on a GPU"),
    "judges": ("benchmarks.judges", "Offline judges"),
    "finetune": ("benchmarks.finetune", "Fine-tuning"),
    "llm": ("benchmarks.llm", "Language-model jobs"),
    "llm-memory": ("benchmarks.llm_memory", "Memory of language-model jobs"),
}
# Too long to be part of everything.
ASKED_FOR = {
    "audit",
    "final-export",
    "llm",
    "llm-memory",
    "direction",
    "direction-gpu",
    "finetune",
    "classify",
    "classify-gpu",
}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"one of {', '.join(BENCHMARKS)} (default: all but those that take long)",
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}")
    if options.quick and options.write:
        parser.error("--quick figures mean nothing: they are not written")
    where = machine()
    _print(where + "\n")
    for name in options.names or [name for name in BENCHMARKS if name not in ASKED_FOR]:
        module, title = BENCHMARKS[name]
        begun = time.perf_counter()
        text = table(title, import_module(module).run(quick=options.quick), note=where if options.write else "")
        _print(text + f"\n({time.perf_counter() - begun:.0f} s)\n")
        if options.write:
            page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
            PAGE.write_text(replaced(page, name, text), encoding="utf-8")


def replaced(page: str, name: str, text: str) -> str:
    """The page with the tables of one benchmark between its marks replaced, or added at its end.

    >>> page = replaced("# Notes\\n", "wire", "one\\n")
    >>> replaced(page, "wire", "two\\n") == page.replace("one", "two")
    True
    """
    first, last = f"<!-- {name}: written by python -m benchmarks --write -->", f"<!-- {name}: end -->"
    block = f"{first}\n{text}{last}\n"
    between = re.compile(rf"{re.escape(first)}.*?{re.escape(last)}\n", re.DOTALL)
    if between.search(page):
        return between.sub(lambda _: block, page)
    return f"{page.rstrip()}\n\n{block}" if page.strip() else block


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
