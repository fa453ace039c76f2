"""Text of data reaches a widget through one door only (the rules are in one_door.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from one_door import find_leaks

import refusal_tui

TUI = Path(refusal_tui.__file__).parent / "tui"

HEADER = """
from rich.text import Text
from textual.content import Content
from refusal_tui.text.safe import safe_text, shorten
from refusal_tui.tui import paint
from refusal_tui.tui.paint import painted_label
"""


def leaks_of(snippet: str) -> list[str]:
    return [leak.sink for leak in find_leaks(HEADER + snippet)]


def test_no_file_of_the_app_lets_text_of_data_past_the_door() -> None:
    leaks = [leak for path in sorted(TUI.rglob("*.py")) for leak in find_leaks(path.read_text(), str(path))]
    told = "\n".join(map(str, leaks))
    assert not leaks, f"wrap it in Text(safe_text(...)) or a function of tui/paint.py:\n{told}"


@pytest.mark.parametrize(
    ("snippet", "sink"),
    [
        ("Static(row.prompt)", "Static"),
        ("yield_ = Static(f'prompt: {row.prompt}')", "Static"),
        ("Static('prompt: ' + row.prompt)", "Static"),
        ("Static('prompt: %s' % row.prompt)", "Static"),
        ("Static('{}'.format(row.prompt))", "Static"),
        ("Static(str(row.prompt))", "Static"),
        ("Static(content=row.prompt)", "Static"),
        ("widgets.Label(row.prompt)", "Label"),
        ("Static(safe_text(row.prompt))", "Static"),  # brackets would still be markup
        ("Static(row.prompt, markup=False)", "Static"),  # ESC would still reach the terminal
        ("Static(row.prompt, markup=True)", "Static"),
        ("Static(safe_text(row.prompt), markup=markup)", "Static"),
        ("Static(name or 'unknown')", "Static"),
        ("Static(name if name else 'unknown')", "Static"),
        ("Static(f'{name!r}')", "Static"),
        ("Static(f'{name:>20}')", "Static"),
        ("Static('\\n'.join(lines))", "Static"),
        ("Button(dataset.name)", "Button"),
        ("Collapsible(Static('x'), title=dataset.name)", "Collapsible"),
        ("Option(dataset.name, id='x')", "Option"),
        ("OptionList(*names)", "OptionList"),
        ("OptionList(*[name for name in names])", "OptionList"),
        ("Select([(name, 1) for name in names])", "Select"),
        ("Select[str](options=[(name, 1)])", "Select"),
        ("TabPane(dataset.name)", "TabPane"),
        ("Tree(dataset.name)", "Tree"),
        ("self.notify(str(error))", "notify"),
        ("self.notify('saved', title=dataset.name)", "notify"),
        ("self.app.exit(message=str(error))", "exit"),
        ("self.query_one('#x').update(row.response)", "update"),
        ("table.add_row('1', row.prompt)", "add_row"),
        ("table.add_row(*cells)", "add_row"),
        ("table.add_rows([('a', name) for name in names])", "add_rows"),
        ("table.update_cell('row', 'column', value)", "update_cell"),
        ("tree.root.add_leaf(name)", "add_leaf"),
        ("self.border_title = row.key", ".border_title ="),
        ("self.border_title += row.key", ".border_title ="),
        ("self.tooltip = row.key", ".tooltip ="),
        ("self.title = dataset.name", ".title ="),
        ("self.query_one('#filter', Input).value = facet", ".value ="),
        ("Text(row.prompt)", "Text"),
        ("Content(row.prompt)", "Content"),
        ("Text(f'prompt: {row.prompt}')", "Text"),
        ("Text.assemble('prompt: ', (row.prompt, 'bold'))", "assemble"),
        ("Content.styled(row.prompt, 'bold')", "styled"),
        ("Segment(row.prompt[:80])", "Segment"),
        ("TextArea(row.prompt)", "TextArea"),
        ("Input(placeholder=row.prompt)", "Input"),
        ("log.write_line(line)", "write_line"),
        ("Markdown(safe_text(card))", "Markdown"),
        ("Text.from_markup('[b]x[/]')", "from_markup"),
        ("Text.from_ansi(log_line)", "from_ansi"),
        ("from rich.markup import escape", "import"),
        ("from rich import markup", "import"),
        ("import rich.markup", "import"),
        ("def f(name: str):\n    Static(name)", "Static"),
        ("def f(row):\n    title = row.prompt\n    Static(title)", "Static"),
        ("def f(row):\n    title = Text('x')\n    title = row.prompt\n    Static(title)", "Static"),
        ("def f(rows):\n    for title in rows:\n        Static(title)", "Static"),
        ("def f(rows):\n    title, other = rows\n    Static(title)", "Static"),
        ("def f(row):\n    line = Text()\n    line.append(row.prompt)", "Text.append"),
        ("def title() -> str: ...\nStatic(title())", "Static"),
        ("class S:\n    def f(self):\n        self._x = row.prompt\n        Static(self._x)", "Static"),
        ("class S:\n    def f(self):\n        self._x = Text('a')\n        Static(self.x)", "Static"),
        ("Static(Text(safe_text(row.prompt)).plain)", "Static"),
        ("Segment(row.plain)", "Segment"),
        ("Static(row.prompt)  # exact:", "Static"),
        ("Static(row.prompt)  # exact", "Static"),
    ],
)
def test_a_way_past_the_door_is_found(snippet: str, sink: str) -> None:
    assert leaks_of(snippet) == [sink]


@pytest.mark.parametrize(
    "snippet",
    [
        "Static('[b]Datasets[/b]')",
        "Static('Datasets', id=row.key, classes=kind)",
        "Static()",
        "Static(Text(safe_text(row.prompt)))",
        "Static(Content(shorten(row.prompt, 40)))",
        "Static(safe_text(row.prompt), markup=False)",
        "Static(paint.prompt(row.prompt))",
        "Static(painted_label(row))",
        "Static(f'{count:,} rows, {rate:.1f} rows/s, {share:.0%}')",
        "Static(f'{len(rows)} rows')",
        "Static(str(len(rows)))",
        "Static(EMPTY_MESSAGE)",
        "Static(messages.EMPTY_MESSAGE)",
        "Static(TITLES[state])",
        "Static(painted_label(row) if row else 'nothing here')",
        "Static(Text('a') + paint.prompt(x))",
        "Text('\\n').join([paint.prompt(row) for row in rows])",
        "Text(safe_text(row.prompt)[:80].ljust(80))",
        "Text(f'{safe_text(row.key)}: {count:,}')",
        "Text(', '.join(safe_text(name) for name in names))",
        "Text.assemble('prompt: ', (safe_text(row.prompt), style))",
        "Content.styled(shorten(row.prompt, 80), style)",
        "Segment(shorten(row.prompt, 80), style)",
        "TextArea(safe_text(row.prompt))",
        "log.write_line(safe_text(line))",
        "Option(paint.prompt(name), id=name)",
        "OptionList(*[Option(paint.prompt(name), id=name) for name in names])",
        "Select([(paint.prompt(name), name) for name in names], value=current)",
        "Collapsible(DetailPane(row), title='Detail')",
        "table.add_row(paint.prompt(row), '12', key=row.key)",
        "table.add_rows([(paint.prompt(row), paint.label(row)) for row in rows])",
        "self.border_title = painted_label(row)",
        "self.title = safe_text(dataset.name)",
        "Input(value='', id=name)",
        "seen.update({'a': row})",
        "bar.update(progress=done, total=total)",
        "names.append(row.prompt)",
        "switch.value = state.on",
        "self.exit(row)",
        "Markdown('# Help')",
        "def f(title: Text):\n    Static(title)",
        "def f(parts: list[Text]):\n    OptionList(*parts)",
        "def f(row):\n    title = Text(safe_text(row.key))\n    title.append(': ')\n    Static(title)",
        "def f(row):\n    title: Content = paint.prompt(row)\n    Static(title)",
        "def f(row):\n    line = shorten(row.prompt, 9)\n    Text(line)",
        "def heading(row) -> Text: ...\nStatic(heading(row))",
        "class S:\n    def heading(self) -> Content: ...\n    def f(self):\n        Static(self.heading())",
        "class S:\n    title_text: Content\n    def f(self):\n        Static(self.title_text)",
        "class S:\n    @property\n    def head(self) -> Content: ...\n    def f(self):\n        Static(self.head)",
        "class S:\n    def f(self, row: Content):\n        self._x = row\n        Segment(self._x.plain[3:])",
        "def f(row):\n    shown = safe_text_map(row.prompt)\n    Content(shown.text)",
        "Static(row.prompt)  # exact: made of our own digits",
        "Static(\n    row.prompt,  # exact: made of our own digits\n)",
    ],
)
def test_a_harmless_use_is_left_alone(snippet: str) -> None:
    assert leaks_of(snippet) == []


def test_a_leak_is_told_with_its_place_and_argument() -> None:
    (leak,) = find_leaks("\nStatic(row.prompt)\n", "screen.py")
    assert str(leak) == "screen.py:2: Static takes `row.prompt`"
