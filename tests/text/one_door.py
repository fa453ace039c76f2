"""Does any text of data reach a widget past the door? A check of source code, used by test_one_door.py.

Every Textual 8.2.8 widget passes ESC to the terminal as it is (TextArea, Input and Log, too), and most parse a `str` as
markup: `[INST]` disappears, `[/SYS]` ends the app. So a sink (listed in sinks.py) takes only what is visibly harmless:

- a constant, a number (`f"{count:,} rows"`: a number's format refuses text), an UPPER_CASE name;
- `Text(...)` and `Content(...)`, whose own argument is `safe_text(...)`, `shorten(...)` or a constant;
- what a function of `refusal_tui.tui.paint`, or one annotated `-> Text` or `-> Content` in the same module, returns;
- a name or attribute that is annotated as one of these, or only ever assigned such values in its function;
- for sinks that do not parse markup, and with `markup=False`: also `safe_text(...)` and `shorten(...)` themselves.

Anything else needs `# exact: <why it is harmless>` on one of its lines. The check reads one file at a time and knows no
types: it can be outwitted on purpose, but not by accident. A method of ours that is called like a sink (`update`) is
taken for one; name it otherwise.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sinks import ATTRIBUTES, BANNED_CALLS, BANNED_IMPORTS, CALLS, Kind

PAINT = "refusal_tui.tui.paint"
DOOR = "refusal_tui.text"
DOOR_FUNCTIONS = {"safe_text", "shorten"}
PAINTED_TYPES = {"Text", "Content", "Strip", "Segment"}
_STRING_METHODS = {"ljust", "rjust", "center", "strip", "lstrip", "rstrip", "upper", "lower", "capitalize"}
_NUMBER_FORMAT = re.compile(r"[dbxXoeEfFgGn%]$|,")
_NUMBER_FUNCTIONS = {"len", "int", "float", "round", "abs"}
_EXACT = re.compile(r"#\s*exact:\s*\S")


@dataclass(frozen=True)
class Leak:
    """One place where something that may be text of data reaches a sink."""

    file: str
    line: int
    sink: str
    argument: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sink} takes `{self.argument}`"


def find_leaks(source: str, file: str = "<source>") -> list[Leak]:
    """Every place in `source` (Python code) where a sink takes something that is not visibly harmless, by line."""
    return sorted(_Module(source, file).leaks(), key=lambda leak: leak.line)


class _Module:
    def __init__(self, source: str, file: str) -> None:
        self.file = file
        self.lines = source.splitlines()
        self.tree = ast.parse(source)
        self.paint_names: set[str] = set()
        self.paint_modules: set[str] = set()
        self.door_names: set[str] = set()
        self.painted_functions: set[str] = set()
        self.painted_attributes: set[str] = set()
        for node in ast.walk(self.tree):
            self._learn(node)

    def _learn(self, node: ast.AST) -> None:
        """Note what this module imports from the door and from `paint`, and what it annotates as painted."""
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                if node.module == PAINT:
                    self.paint_names.add(name)
                elif f"{node.module}.{alias.name}" == PAINT:
                    self.paint_modules.add(name)
                elif (node.module or "").startswith(DOOR) and alias.name in DOOR_FUNCTIONS:
                    self.door_names.add(name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_painted_type(node.returns):
            self.painted_functions.add(node.name)
        elif isinstance(node, ast.ClassDef):
            fields = (item for item in node.body if isinstance(item, ast.AnnAssign))
            self.painted_attributes |= {
                ast.unparse(item.target) for item in fields if _is_painted_type(item.annotation)
            }
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
            self.painted_attributes |= {node.target.attr} if _is_painted_type(node.annotation) else set()

    def leaks(self) -> Iterator[Leak]:
        for node, scope in _with_scopes(self.tree):
            for sink, argument in self._bad_arguments(node, _Scope(self, scope)):
                if not self._is_marked(node):
                    yield Leak(self.file, getattr(node, "lineno", 0), sink, ast.unparse(argument))

    def _is_marked(self, node: ast.AST) -> bool:
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
        return any(_EXACT.search(line) for line in self.lines[first - 1 : last])

    def _bad_arguments(self, node: ast.AST, scope: _Scope) -> Iterator[tuple[str, ast.AST]]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            names += [f"{names[0]}.{alias.name}" for alias in node.names]
            if BANNED_IMPORTS.intersection(names):
                yield "import", node
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                kind = _kind_of_attribute(target)
                if kind is not None and node.value is not None and not scope.is_harmless(node.value, kind):
                    yield f".{target.attr} =", node.value  # type: ignore[attr-defined]
        elif isinstance(node, ast.Call):
            yield from self._bad_call_arguments(node, scope)

    def _bad_call_arguments(self, node: ast.Call, scope: _Scope) -> Iterator[tuple[str, ast.AST]]:
        name = _called_name(node)
        if name in BANNED_CALLS:
            yield name, node
        elif name == "append" and isinstance(node.func, ast.Attribute) and node.args:
            # list.append is no sink; Text.append is
            if scope.is_painted_name(node.func.value) and not scope.is_harmless(node.args[0], "plain"):
                yield "Text.append", node.args[0]
        elif name in CALLS:
            sink = CALLS[name]
            off = any(
                k.arg == "markup" and isinstance(k.value, ast.Constant) and not k.value.value for k in node.keywords
            )
            kind: Kind = "plain" if sink.kind == "markup" and off else sink.kind
            shown = [arg for i, arg in enumerate(node.args) if sink.positions is None or i in sink.positions]
            shown += [keyword.value for keyword in node.keywords if keyword.arg in sink.keywords]
            for argument in shown:
                if name == "update" and isinstance(argument, ast.Dict | ast.DictComp | ast.Set | ast.SetComp):
                    continue  # dict.update, set.update
                if not scope.is_harmless(argument, kind, sink.pairs):
                    yield name, argument


class _Scope:
    """What is known about names inside one function (or at module level)."""

    def __init__(self, module: _Module, function: ast.AST) -> None:
        self.module = module
        self.function = function
        self._asked: set[str] = set()

    def is_harmless(self, node: ast.AST | None, kind: Kind, pairs: bool = False) -> bool:
        """May `node` be handed to a sink of this kind? `pairs`: of a tuple only the first item is shown."""
        match node:
            case ast.Constant():
                return True
            case ast.JoinedStr(values=parts):
                return all(self._is_harmless_part(part, kind) for part in parts)
            case ast.Name(id=name) | ast.Attribute(attr=name) if name.isupper():
                return True
            case ast.Name(id=name):
                return self._is_harmless_name(name, kind)
            case ast.Attribute(value=owner, attr=name):
                return kind != "constant" and self._is_harmless_attribute(owner, name, kind)
            case ast.Subscript(value=base):
                return self.is_harmless(base, kind)  # TITLES[state], safe[:20]
            case ast.IfExp(body=yes, orelse=no):
                return self.is_harmless(yes, kind, pairs) and self.is_harmless(no, kind, pairs)
            case ast.BoolOp(values=values):
                return all(self.is_harmless(value, kind, pairs) for value in values)
            case ast.BinOp(left=left, op=ast.Add() | ast.Mult(), right=right):
                return all(self.is_harmless(side, kind) or self._is_number(side) for side in (left, right))
            case ast.NamedExpr(value=value) | ast.Starred(value=value):
                return self.is_harmless(value, kind, pairs)
            case ast.Tuple(elts=[first, *_]) if pairs:
                return self.is_harmless(first, kind)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return all(self.is_harmless(item, kind, pairs) for item in items)
            case ast.ListComp(elt=item) | ast.GeneratorExp(elt=item):
                return self.is_harmless(item, kind, pairs)
            case ast.Call():
                return self._is_harmless_call(node, kind)
        return False

    def is_painted_name(self, node: ast.AST) -> bool:
        """Is `node` a name of this function that holds a Text or Content (whose `append` is a sink)?"""
        if not isinstance(node, ast.Name):
            return False
        values = [value for value in self._values_of(node.id) if value is not None]
        called = {_called_name(value) for value in values if isinstance(value, ast.Call)}
        return bool(called & PAINTED_TYPES) or self._annotation_of(node.id)

    def _is_harmless_part(self, part: ast.AST, kind: Kind) -> bool:
        """One part of an f-string: its own text, a number, or (where markup is not parsed) a safe string."""
        if not isinstance(part, ast.FormattedValue):
            return True
        spec = ast.unparse(part.format_spec)[2:-1] if part.format_spec else ""  # unparsed as f'.1f'
        if _NUMBER_FORMAT.search(spec):
            return True
        if self._is_number(part.value) or isinstance(part.value, ast.Constant):
            return True
        if isinstance(part.value, ast.Name | ast.Attribute) and ast.unparse(part.value).rpartition(".")[2].isupper():
            return True
        return kind == "plain" and self.is_harmless(part.value, kind)

    def _is_number(self, node: ast.AST) -> bool:
        match node:
            case ast.Constant(value=int() | float()):
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in _NUMBER_FUNCTIONS
            case ast.BinOp(left=left, right=right):
                return self._is_number(left) and self._is_number(right)
        return False

    def _is_harmless_call(self, node: ast.Call, kind: Kind) -> bool:
        if kind == "constant":
            return False
        name = _called_name(node)
        base = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name in self.module.painted_functions:
            return True
        if base is None:
            if name in self.module.door_names:
                return kind == "plain"
            if name in self.module.paint_names:
                return True
            if name == "str":
                return len(node.args) == 1 and self._is_number(node.args[0])
            return name[:1].isupper()  # another widget, Text or Content: its own arguments are looked at, too
        if isinstance(base, ast.Name) and base.id in self.module.paint_modules | PAINTED_TYPES:
            return True
        if name in DOOR_FUNCTIONS and isinstance(base, ast.Name) and base.id == "safe":
            return kind == "plain"
        if name == "join":  # "…".join(safe strings), Text("…").join(texts)
            return self.is_harmless(base, kind) and all(self.is_harmless(arg, kind) for arg in node.args)
        return name in _STRING_METHODS and self.is_harmless(base, kind)

    def _is_harmless_name(self, name: str, kind: Kind) -> bool:
        if kind != "constant" and self._annotation_of(name):
            return True
        if name in self._asked:  # x = x + …: decided by its other values
            return True
        values = self._values_of(name)
        self._asked.add(name)
        try:
            return bool(values) and all(value is not None and self.is_harmless(value, kind) for value in values)
        finally:
            self._asked.discard(name)

    def _is_harmless_attribute(self, owner: ast.AST, name: str, kind: Kind) -> bool:
        if name in self.module.painted_attributes | self.module.painted_functions:  # a function may be a property
            return True
        if name == "plain":  # the characters of painted text
            return kind == "plain" and self.is_harmless(owner, "markup")
        if name == "text" and isinstance(owner, ast.Name):  # SafeText.text
            values = self._values_of(owner.id)
            mapped = all(value is not None and _called_name(value) == "safe_text_map" for value in values)
            return kind == "plain" and bool(values) and mapped
        if isinstance(owner, ast.Name) and owner.id == "self" and name.startswith("_") and name not in self._asked:
            return self._is_harmless_private(name, kind)
        return False

    def _is_harmless_private(self, name: str, kind: Kind) -> bool:
        """Is `self._name` only ever set to harmless values in this module?"""
        values = [
            (node.value, scope)
            for node, scope in _with_scopes(self.module.tree)
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if ast.unparse(target) == f"self.{name}"
        ]
        self._asked.add(name)
        return bool(values) and all(_Scope(self.module, scope).is_harmless(value, kind) for value, scope in values)

    def _annotation_of(self, name: str) -> bool:
        """Is `name` annotated as painted, as a parameter or a variable of this function?"""
        for node in ast.walk(self.function):
            match node:
                case ast.arg(arg=found, annotation=annotation) if found == name and _is_painted_type(annotation):
                    return True
                case ast.AnnAssign(target=ast.Name(id=found), annotation=annotation):
                    if found == name and _is_painted_type(annotation):
                        return True
        return False

    def _values_of(self, name: str) -> list[ast.AST | None]:
        """Everything that `name` is set to in this function; None for what cannot be followed (loops, parameters)."""
        values: list[ast.AST | None] = []
        followed: set[int] = set()
        for node in ast.walk(self.function):
            match node:
                case ast.Assign(targets=targets, value=value):
                    hits = [t for t in targets if isinstance(t, ast.Name) and t.id == name]
                case ast.AnnAssign(target=target, value=value) | ast.AugAssign(target=target, value=value):
                    hits = [target] if isinstance(target, ast.Name) and target.id == name else []
                case ast.NamedExpr(target=target, value=value):
                    hits = [target] if target.id == name else []
                case ast.arg(arg=found) if found == name:
                    values.append(None)
                    continue
                case _:
                    continue
            followed.update(map(id, hits))
            values.extend(value for _ in hits if value is not None)
        stored = (n for n in ast.walk(self.function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        # the rest: a loop variable, `with … as`, an unpacked tuple
        values.extend(None for node in stored if node.id == name and id(node) not in followed)
        return values


def _with_scopes(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Every node with the function that it stands in (or the module)."""
    stack: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
    while stack:
        node, scope = stack.pop()
        yield node, scope
        inner = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else scope
        stack.extend((child, inner) for child in ast.iter_child_nodes(node))


def _called_name(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name
        case ast.Call(func=ast.Subscript(value=ast.Name(id=name))):  # Select[str](...)
            return name
    return ""


def _kind_of_attribute(target: ast.AST) -> Kind | None:
    if not isinstance(target, ast.Attribute):
        return None
    # .value and .text are shown only where they belong to these two
    if target.attr in {"value", "text"} and re.search(r"\b(Input|TextArea)\b", ast.unparse(target.value)):
        return "plain"
    return ATTRIBUTES.get(target.attr)


def _is_false(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _is_painted_type(annotation: ast.AST | None) -> bool:
    """Does the annotation name painted types only (Text, list[Content], Text | None)?"""
    if annotation is None:
        return False
    words = set(re.findall(r"\w+", ast.unparse(annotation)))
    containers = {"list", "tuple", "Sequence", "Iterable", "Iterator", "None", "Optional", "dict", "rich", "textual"}
    return bool(words & PAINTED_TYPES) and not words - PAINTED_TYPES - containers - {"text", "content"}
