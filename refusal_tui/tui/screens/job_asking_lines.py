"""The lines of the Job screen about language models: tokens, money, requests, places, and one line per server."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.jobs.estimate import tokens as short_tokens
from refusal_tui.jobs.standing import Standing, cost_words, money, places_words, requests_words, tokens_words
from refusal_tui.store.jobs import JobState
from refusal_tui.store.requests import Places, ServerUse
from refusal_tui.tui import paint
from refusal_tui.tui.state.figures import count
from refusal_tui.tui.widgets.line_list import Line

FIELD = 9
_SHORTEST_NAME, _LONGEST_NAME = 12, 40
_TITLES = f"{'places':>8} {'sent':>8} {'failed':>7} {'answer':>7} {'tokens':>7}  cost"


def field(name: str, value: Content) -> Content:
    """One `name  value` line of the head."""
    return paint.words((f"{name:<{FIELD}}", paint.MUTED), value)


def asking_lines(standing: Standing, tokens_per_second: float | None, width: int, now: float) -> list[Content]:
    """Three or four lines of the head."""
    room = width - FIELD
    lines = [
        field("tokens", paint.line(tokens_words(standing, tokens_per_second), room)),
        field("cost", paint.line(cost_words(standing), room, paint.WARN if standing.usage.unpriced else "")),
        field("requests", paint.line(requests_words(standing), room)),
    ]
    if standing.job.state is JobState.RUNNING and standing.live.places:
        held = sum(1 for places in standing.live.places if places.held_until > now)
        said = places_words(standing.live)
        said += "; nothing is sent for now: the server asked to wait" if held == len(standing.live.places) else ""
        trouble = held or any(not places.alive for places in standing.live.places)
        lines.append(field("places", paint.line(said, room, paint.WARN if trouble else "")))
    return lines


def server_lines(standing: Standing, width: int, now: float) -> list[Line]:
    """One line per server when there are several; the head says all of a single one."""
    servers = standing.usage.servers
    if len(servers) < 2:
        return []
    places = {(one.endpoint, one.base_url): one for one in standing.live.places}
    several = {server.endpoint for server in servers if sum(s.endpoint == server.endpoint for s in servers) > 1}
    name = min(_LONGEST_NAME, max(len(_name_of(server, server.endpoint in several)) for server in servers))
    name = max(_SHORTEST_NAME, min(name, width - len(_TITLES) - 10))
    lines = [Line(paint.words((f"{'Models':<{name}} ", paint.HEADING), (_TITLES, paint.MUTED)))]
    for number, server in enumerate(servers):
        shown = paint.line(_name_of(server, server.endpoint in several), name)
        figures = _figures(server, places.get((server.endpoint, server.base_url)), now)
        content = paint.words(shown.pad_right(max(0, name - shown.cell_length)), " ", figures)
        lines.append(Line(content.truncate(width), f"server:{number}"))
    return lines


def _name_of(server: ServerUse, with_address: bool) -> str:
    """The end point; with its address (on this machine: the port) where several servers share the name."""
    address = server.base_url.partition("//")[2].partition("/")[0]
    host, _, port = address.rpartition(":")
    address = f":{port}" if host in ("127.0.0.1", "localhost") else address
    return f"{server.endpoint} {address}" if with_address else server.endpoint


def _figures(server: ServerUse, places: Places | None, now: float) -> Content:
    """The columns of `_TITLES`."""
    failed = sum(server.errors.values())
    answer = f"{server.seconds / server.answered:.2f} s" if server.answered else ""
    tokens = short_tokens(server.prompt_tokens + server.completion_tokens)
    return paint.words(
        _state(places, now),
        f" {count(server.sent):>8}",
        (f" {count(failed) if failed else '':>7}", paint.BAD),
        f" {answer:>7} {tokens:>7}  ",
        ("no price", paint.WARN) if server.unpriced and not server.usd else money(server.usd),
    )


def _state(places: Places | None, now: float) -> Content:
    """Places in use of those there are, in eight cells."""
    if places is None:
        return paint.words(" " * 8)
    if not places.alive:
        return paint.words(("✗ silent", paint.BAD))
    if places.held_until > now:
        return paint.words((f"{'‖ waits':<8}", paint.WARN))
    return paint.words(f"{f'{places.in_flight}/{places.limit}':>8}")
