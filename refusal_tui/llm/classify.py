"""What kind of failure is this, and how long did the server ask us to wait?

Pure functions over status, headers and body: the table of jobs.md, section 5. A body that is cut off or is no chat
completion is the server's failure (`server`: tried again), not an unparsable answer (`parse`): there is no answer in
it that could be read again later.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.parse import repair_json
from refusal_tui.llm.request import CallFailure, RateHeaders, Reply, TokenLogprob, Usage
from refusal_tui.text.mask import mask_secrets

_RAW_CHARS = 20_000  # of a useless body, kept in the ledger
_MESSAGE_CHARS = 300

_CONTEXT = re.compile(
    r"context[ _-]?(length|window|size)|maximum (context|number of tokens)|n_ctx|prompt is too long"
    r"|too many (input )?tokens|input (is )?too long|exceeds? .{0,40}(context|token limit)",
    re.IGNORECASE,
)
_FILTER = re.compile(r"content[ _-]?(filter|policy|management)|responsible ?ai|safety (system|filter)", re.IGNORECASE)
_QUOTA = re.compile(r"insufficient[ _-]?quota|billing|credit balance|exceeded your current quota", re.IGNORECASE)
_CODES = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "overloaded_error": 529,
    "invalid_api_key": 401,
    "authentication_error": 401,
}


def failure_of_status(status: int, headers: Mapping[str, str], body: str) -> CallFailure:
    """The failure behind an HTTP status of 400 or more."""
    code, message = _error_of(body)
    error_class = _class_of(status, code, message)
    retry_after = retry_after_of(headers, body) if error_class.retryable else None
    text = _shorten(mask_secrets(message)) or f"the server answered with HTTP status {status}"
    return CallFailure(error_class, text, status, retry_after, raw=body[:_RAW_CHARS] or None)


def reply_of_body(body: str) -> Reply | CallFailure:
    """A chat completion from the body of an HTTP 200; whatever else came is a failure that keeps the body.

    An event stream that was not asked for is put together; a body that was cut off is used when its first choice is
    whole, which the `finish_reason` behind the message proves.
    """
    repaired = False
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = _from_event_stream(body) if body.lstrip().startswith(("data:", "event:", ":")) else repair_json(body)
        repaired = True
    if not isinstance(value, dict):
        return _damaged("the server's answer is cut off or is not JSON", body)
    if "error" in value and not value.get("choices"):
        return _error_in_200(value, body)
    try:
        reply = _reply(value)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return _damaged("the server's answer is not a chat completion", body)
    if reply is None:
        return _damaged("the server's answer holds no choices", body)
    if repaired and reply.finish_reason == "":
        return _damaged("the server's answer was cut off", body)
    return replace(reply, repaired=repaired)


def retry_after_of(headers: Mapping[str, str], body: str = "") -> float | None:
    """Seconds: `retry-after-ms`, `retry-after` (seconds or a date), or Google's `retryDelay` in the body."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is not None:
        seconds = _number(value)
        if seconds is not None:
            return seconds
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, TypeError):
            return None
    match = re.search(r'"retryDelay"\s*:\s*"([0-9.]+)s"', body)
    return float(match[1]) if match else None


def rate_headers(headers: Mapping[str, str]) -> RateHeaders | None:
    """The `x-ratelimit-*` headers of OpenAI and of those who copy it; None when there are none."""
    found = {
        f"{what}_{kind}": headers.get(f"x-ratelimit-{what}-{kind}")
        for what in ("limit", "remaining", "reset")
        for kind in ("requests", "tokens")
    }
    if not any(found.values()):
        return None

    def whole(name: str) -> int | None:
        number = _number(found[name])
        return None if number is None else int(number)

    return RateHeaders(
        whole("limit_requests"),
        whole("remaining_requests"),
        _duration(found["reset_requests"]),
        whole("limit_tokens"),
        whole("remaining_tokens"),
        _duration(found["reset_tokens"]),
    )


def _class_of(status: int, code: str, message: str) -> ErrorClass:
    told = f"{code} {message}"
    if status == 429:
        # An empty account does not fill up by waiting: it stops the job, as a wrong key does.
        return ErrorClass.AUTH if _QUOTA.search(told) else ErrorClass.RATE_LIMIT
    if status in (401, 402):
        return ErrorClass.AUTH
    if status == 413 or _CONTEXT.search(told):
        return ErrorClass.CONTEXT_LENGTH
    if status < 500 and _FILTER.search(told):
        return ErrorClass.CONTENT_FILTER
    if status == 403 or _QUOTA.search(told):
        return ErrorClass.AUTH
    if status == 408:
        return ErrorClass.TIMEOUT
    if status >= 500 or status in (409, 425):
        return ErrorClass.SERVER
    return ErrorClass.BAD_REQUEST


def _error_of(body: str) -> tuple[str, str]:
    """(code, message) of an error body of any of the usual shapes; the text itself where it is none of them."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "", "" if body.lstrip().startswith("<") else body
    if isinstance(value, list) and value:  # Google
        value = value[0]
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return "", str(error)
    code = " ".join(str(error[key]) for key in ("code", "type", "status") if error.get(key))
    message = error.get("message") or error.get("detail") or ""
    return code, message if isinstance(message, str) else json.dumps(message)


def _error_in_200(value: dict[str, Any], body: str) -> CallFailure:
    """Some proxies send an error with status 200; its code, where it is one, tells the class."""
    error = value["error"]
    code = error.get("code") or error.get("type") if isinstance(error, dict) else None
    number = _number(str(code))
    status = int(number) if number is not None and 400 <= number <= 599 else _CODES.get(str(code), 500)
    return replace(failure_of_status(status, {}, body), status_code=200)


def _reply(value: dict[str, Any]) -> Reply | None:
    choices = value.get("choices")
    if not choices:
        return None
    choice = choices[0]
    message = choice.get("message")
    if message is None:  # the old completions shape
        message = {"content": choice["text"]}
    content = message.get("content")
    if isinstance(content, list):  # parts, as some servers write them
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    elif content is not None and not isinstance(content, str):
        raise TypeError("content")
    refusal = message.get("refusal")
    return Reply(
        text=content or "",
        finish_reason=str(choice.get("finish_reason") or ""),
        refusal=str(refusal) if refusal else None,
        logprobs=_logprobs(choice.get("logprobs")),
        usage=_usage(value.get("usage")),
        model_returned=str(value.get("model") or ""),
    )


def _logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    if not isinstance(value, dict) or not isinstance(value.get("content"), list):
        return ()
    return tuple(
        TokenLogprob(
            str(entry["token"]),
            float(entry["logprob"]),
            tuple((str(t["token"]), float(t["logprob"])) for t in entry.get("top_logprobs") or ()),
        )
        for entry in value["content"]
    )


def _usage(value: Any) -> Usage:
    if not isinstance(value, dict):
        return Usage()
    counts = [value.get("prompt_tokens"), value.get("completion_tokens")]
    return Usage(*(count if isinstance(count, int) else None for count in counts))


def _from_event_stream(body: str) -> Any | None:
    """The chunks of a server-sent event stream, put together as one completion; None when one of them is garbage."""
    text, reason, usage, model, seen = [], "", None, "", False
    refusal: list[str] = []
    for line in body.splitlines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            break
        try:
            chunk = json.loads(data)
            for choice in chunk.get("choices") or ():
                delta = choice.get("delta") or {}
                text.append(delta.get("content") or "")
                refusal.append(delta.get("refusal") or "")
                reason = choice.get("finish_reason") or reason
                seen = True
            usage = chunk.get("usage") or usage
            model = chunk.get("model") or model
        except (ValueError, AttributeError):
            return None
    if not seen or not reason:
        return None
    message = {"content": "".join(text), "refusal": "".join(refusal) or None}
    return {"model": model, "usage": usage, "choices": [{"message": message, "finish_reason": reason}]}


def _damaged(sentence: str, body: str) -> CallFailure:
    return CallFailure(ErrorClass.SERVER, sentence, 200, raw=body[:_RAW_CHARS])


def _number(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:
        return None


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(text: str | None) -> float | None:
    """Seconds of "20ms", "1s", "6m0s", "1h2m3.5s" or a plain number."""
    if text is None:
        return None
    parts = re.findall(r"([0-9.]+)(ms|s|m|h|d)", text)
    try:
        return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else _number(text)
    except ValueError:
        return None


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_CHARS else line[: _MESSAGE_CHARS - 1] + "…"
