"""A plan as JSON: what `import --dry-run` prints and the Import screen reads from its helper process."""

from __future__ import annotations

from typing import Any

from refusal_tui.ingest.items import SourceItem
from refusal_tui.ingest.plan import ImportPlan
from refusal_tui.labels.rows import render_messages


def plan_record(plan: ImportPlan) -> dict[str, Any]:
    """Everything that a person should see before an import runs."""
    return {
        "source": plan.source,
        "name": plan.name,
        "format": plan.format,
        "adapter": plan.adapter.name,
        "adapter_title": plan.adapter.title,
        "mapping": dict(plan.mapping),
        "options": {name: value for name, value in plan.options.items() if name not in plan.mapping},
        "split": plan.split,
        "revision": plan.revision,
        "licence": plan.licence,
        "redistribution": plan.redistribution,
        "eval_only": plan.eval_only,
        "estimated_rows": plan.estimated_rows,
        "reasons": list(plan.reasons),
        "warnings": list(plan.warnings),
        "preview": [_shown(item) for item in plan.preview],
        "rejected": [{"line": bad.line, "reason": bad.reason} for bad in plan.rejected],
    }


def _shown(item: SourceItem) -> dict[str, Any]:
    prompt = item.prompt if isinstance(item.prompt, str) else render_messages(item.prompt)
    labels = {said.annotator: {q: a.value for q, a in said.answers.items()} for said in item.verdicts}
    return {"key": item.key, "prompt": prompt, "response": item.response, "model": item.model, "labels": labels}
