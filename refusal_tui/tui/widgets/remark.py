"""A line that says something and is painted again only when it says something else."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Remark(Static):
    """What stands beside a field, above a list, below a table."""

    def say(self, content: Content) -> None:
        """Repaint only a remark that is another one."""
        if not isinstance(self.content, Content) or not self.content.is_same(content):
            self.update(content)
