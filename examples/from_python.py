"""The same pipeline from Python: python examples/from_python.py WORKSPACE."""

import sys
from pathlib import Path

from refusal_tui import Pipeline, Workspace


def main(folder: str) -> None:
    workspace = Workspace(Path(folder))
    pipeline = Pipeline.load(Path(__file__).with_name("offline.toml"))
    print(pipeline.plan(workspace).summary)
    run = pipeline.run(workspace)
    print(run.out)


if __name__ == "__main__":
    main(sys.argv[1])
