"""`refusal-tui endpoint`: which language models the workspace knows, and what they really obey."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.errors import UsageError
from refusal_tui.store.endpoints import (
    Endpoint,
    get_endpoint,
    list_endpoints,
    remove_endpoint,
    save_capabilities,
    save_endpoint,
)

if TYPE_CHECKING:
    from refusal_tui.llm.detect import Candidate

_OPTIONS = (
    "rpm", "tpm", "concurrency", "price_in", "price_out", "batch_price_in", "batch_price_out", "timeout",
)  # fmt: skip
name_argument = click.argument("name")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def endpoint(context: click.Context, as_json: bool) -> None:
    """Add, list, probe or remove language models; no file needs editing, and no key is ever stored."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)


@endpoint.command()
@name_argument
@click.option(
    "--preset", metavar="KIND", help="vllm, llama.cpp, ollama, transformers, openai, anthropic, google, local, custom."
)
@click.option("--url", "urls", multiple=True, help="Base URL; again for every replica of the same model.")
@click.option(
    "--model",
    help="The model's name (default: the only one that the server has); for --preset local a folder with "
    "weights, or a name on the Hugging Face hub.",
)
@click.option("--key-env", metavar="NAME", help="The environment variable that holds the key.")
@click.option("--rpm", type=click.FloatRange(0, min_open=True), help="Requests per minute, at most.")
@click.option("--tpm", type=click.FloatRange(0, min_open=True), help="Tokens per minute, at most.")
@click.option("--concurrency", type=click.IntRange(1), help="Requests side by side, at most (default 100).")
@click.option("--price-in", type=click.FloatRange(0), help="US dollars per million prompt tokens.")
@click.option("--price-out", type=click.FloatRange(0), help="US dollars per million answer tokens.")
@click.option("--batch-price-in", type=click.FloatRange(0), help="The same through the provider's Batch API.")
@click.option("--batch-price-out", type=click.FloatRange(0), help="The same through the provider's Batch API.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds to wait for an answer.")
@click.option("--test", is_flag=True, help="Ask it one small question first, and save it only when it answers.")
@json_option
@pass_session
def add(
    session: Session, /, name: str, preset: str | None, urls: tuple[str, ...], model: str | None, key_env: str | None,
    test: bool, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Add or change the end point NAME. What is left out is looked for: a server on the usual local ports."""
    from refusal_tui.llm.adding import holds_password

    if key_env is not None and not key_env.isidentifier():
        raise UsageError("--key-env takes the name of an environment variable, not the key.", "Example: OPENAI_API_KEY")
    if any(map(holds_password, urls)):
        raise UsageError("A URL must not hold a password: it would be stored.", "Give the key by --key-env NAME.")
    options = {key: value for key, value in given.items() if value is not None}
    for side in ("price", "batch_price"):
        if (f"{side}_in" in options) != (f"{side}_out" in options):
            option = side.replace("_", "-")
            raise UsageError("A price has two sides.", f"Give --{option}-in and --{option}-out.")
    made = _completed(session, name, preset, urls, model, key_env, options)
    if test:
        _test(session, made)
    with session.store() as connection:
        before = next((one.options for one in list_endpoints(connection) if one.name == name), {})
        kept = {key: value for key, value in before.items() if key not in _OPTIONS}  # what no option here sets
        save_endpoint(connection, replace(made, options={**kept, **made.options}))
    if as_json:
        emit_json(asdict(made))
        return
    say(f"{name}: {made.model} at {', '.join(made.base_urls)}.")
    say(f"Find out what it obeys: refusal-tui endpoint probe {name}")


def _test(session: Session, made: Endpoint) -> None:
    from refusal_tui.llm.adding import greet
    from refusal_tui.llm.keys import api_key

    seconds = asyncio.run(greet(made, api_key(made.key_env, _folders(session))))
    say(f"{made.model} answers" + (f" in {seconds:.2f} s." if seconds else "."))


def _completed(
    session: Session, name: str, preset: str | None, urls: tuple[str, ...], model: str | None, key_env: str | None,
    options: dict[str, Any],
) -> Endpoint:  # fmt: skip
    """The end point as given, with what a look at this machine's servers tells about the rest."""
    from refusal_tui.llm.presets import get_preset

    kind = get_preset(preset) if preset else None
    if kind is not None and kind.in_process:
        return _weights(name, kind.url(), urls, model, options)
    if kind is not None and not urls and (kind.key_env or kind.port is None):
        urls = (kind.url(),)  # a provider: its address is known, and nobody is asked
    if urls and kind is not None and model:
        return Endpoint(name, kind.name, urls, model, key_env or kind.key_env, options)
    fitting = [c for c in _within_reach(session, urls, key_env) if kind is None or c.preset in (kind.name, "custom")]
    if not urls and len({candidate.base_url for candidate in fitting}) != 1:
        there = ", ".join(f"{c.preset} at {c.base_url}" for c in fitting) or "nothing"
        raise UsageError(f"It is not clear which server is meant (found: {there}).", "Give --preset and --url.")
    here = fitting[0] if fitting else None
    if model is None:
        if here is not None and here.locked:
            said = f"refused the key in {key_env}" if key_env else "wants a key"
            raise UsageError(f"{here.base_url} {said}.", "Give --key-env, the variable that holds the right key.")
        models = here.models if here is not None else ()
        if len(models) != 1:
            raise UsageError(
                "It is not clear which model is meant" + (f" ({', '.join(models[:12])})." if models else "."),
                "Give its name: --model.",
            )
        model = models[0]
    chosen: str = kind.name if kind is not None else here.preset if here is not None else "custom"
    addresses = urls or ((here.base_url,) if here is not None else ())
    key = key_env or get_preset(chosen).key_env or (here.key_env if here is not None else None)
    return Endpoint(name, chosen, addresses, model, key, options)


def _weights(name: str, url: str, urls: tuple[str, ...], model: str | None, options: dict[str, Any]) -> Endpoint:
    """Weights in the job's own process: no server, no key, no price."""
    from refusal_tui.llm.weights import missing_package, resolve

    needless = [key for key in options if key != "concurrency"]
    if urls or needless:
        what = "--url" if urls else f"--{needless[0].replace('_', '-')}"
        raise UsageError(f"{what} is for servers; --preset local loads the weights itself.", f"Leave {what} out.")
    if model is None:
        raise UsageError(
            "It is not clear which weights are meant.", "Give --model: a folder, or OWNER/NAME of the hub."
        )
    made = Endpoint(name, "local", (url,), resolve(model), None, options)
    missing = missing_package()
    if missing is not None:
        say(f"{missing} is not installed yet: pip install 'refusal-tui[ml]'")
    return made


def _within_reach(session: Session, urls: tuple[str, ...], key_env: str | None) -> list[Candidate]:
    """The server at the first URL, where it is on this machine; without a URL all that can be found."""
    from refusal_tui.llm.detect import detect, look_at
    from refusal_tui.llm.keys import api_key

    if not urls:
        return detect(folders=_folders(session))
    try:
        address = urlsplit(urls[0])
        host, port = address.hostname, address.port
    except ValueError:
        raise UsageError(f"{urls[0]} is no address.", "Example: --url http://127.0.0.1:8000/v1") from None
    if host not in ("127.0.0.1", "localhost") or port is None:
        return []
    found = look_at(port, key=api_key(key_env, _folders(session)))
    return [] if found is None else [found]


def _folders(session: Session) -> list[Path]:
    return [Path.cwd(), session.workspace().root]


@endpoint.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the end points of the workspace."""
    with session.store() as connection:
        known = list_endpoints(connection)
    if as_json:
        emit_json([asdict(one) for one in known])
        return
    emit_table(
        ["name", "kind", "model", "servers", "key", "probed"],
        [[e.name, e.preset, e.model, ", ".join(e.base_urls), e.key_env, "yes" if e.probed else "no"] for e in known],
        cut=48,
    )
    if not known:
        say("There is no end point yet. See what is within reach: refusal-tui endpoint detect")


@endpoint.command()
@name_argument
@json_option
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show one end point and what probing found out about it."""
    with session.store() as connection:
        one = get_endpoint(connection, name)
    if as_json:
        emit_json(asdict(one))
        return
    emit(f"{one.name}: {one.preset}, {one.model}")
    for url in one.base_urls:
        emit(f"  server       {url}")
    emit(f"  key          {'$' + one.key_env if one.key_env else 'none'}")
    for key in _OPTIONS:
        if key in one.options:
            emit(f"  {key:<12} {one.options[key]:g}")
    _tell_capabilities(one)


def _tell_capabilities(one: Endpoint) -> None:
    from refusal_tui.llm.ladder import Capabilities

    if one.capabilities is None:
        emit(f"  not probed: answers are asked for in plain text. refusal-tui endpoint probe {one.name}")
        return
    found = Capabilities.from_json(one.capabilities)
    said = {None: "not known", True: "yes", False: "no"}
    logprobs = said[found.logprobs] + (f", {found.top_logprobs} alternatives" if found.top_logprobs else "")
    lines = {
        "JSON schema": said[found.json_schema],
        "choices": found.choice.value if found.choice else "no",
        "JSON mode": said[found.json_mode],
        "logprobs": logprobs,
        "seed": said[found.seed],
        "context": f"{found.context_length:,} tokens" if found.context_length else "not known",
        "Batch API": said[found.batch],
        "side by side": found.concurrency or "not measured",
    }
    for key, value in lines.items():
        emit(f"  {key:<12} {value}")
    for note in found.notes:
        emit(f"  ({note})")


@endpoint.command()
@name_argument
@click.option("--no-concurrency", is_flag=True, help="Leave out the measuring of requests side by side.")
@json_option
@pass_session
def probe(session: Session, name: str, no_concurrency: bool, as_json: bool) -> None:
    """Ask the end point NAME a few small questions and store what it really obeys."""
    from refusal_tui.llm.keys import api_key
    from refusal_tui.llm.probe import probe as ask

    with session.store() as connection:
        one = get_endpoint(connection, name)
        key = api_key(one.key_env, _folders(session))
        found = asyncio.run(ask(one, api_key=key, measure_concurrency=not no_concurrency, tell=lambda s: say(f"  {s}")))
        save_capabilities(connection, name, found.to_json())
        one = get_endpoint(connection, name)
    if as_json:
        emit_json(found.to_json())
    else:
        emit(f"{name} obeys:")
        _tell_capabilities(one)


@endpoint.command()
@name_argument
@json_option
@pass_session
def remove(session: Session, name: str, as_json: bool) -> None:
    """Forget the end point NAME; what was asked of it stays in the ledger."""
    with session.store() as connection:
        remove_endpoint(connection, name)
    if as_json:
        emit_json({"removed": name})
    else:
        say(f"{name} is forgotten.")


@endpoint.command()
@json_option
@pass_session
def detect(session: Session, as_json: bool) -> None:
    """Look for servers on this machine's usual ports and providers whose key is set; nothing leaves the machine."""
    from refusal_tui.llm.detect import detect as look

    found = look(folders=_folders(session))
    if as_json:
        emit_json([asdict(one) for one in found])
        return
    emit_table(
        ["kind", "server", "models", "key"],
        [[c.preset, c.base_url, ", ".join(c.models), c.key_env] for c in found],
    )
    for candidate in found[:1]:
        model = candidate.models[0] if candidate.models else "MODEL"
        say(
            f"Add one with: refusal-tui endpoint add NAME --preset {candidate.preset} --url {candidate.base_url} "
            f"--model {model}"
        )
    if not found:
        say("No server answers on the usual ports, and no provider's key is set.")
