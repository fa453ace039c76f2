"""How do secrets stay out of logs and crash reports? Everything that is written there goes through `mask_secrets`.

Two nets: the values of environment variables whose name speaks of a secret, and the shapes that keys usually have. It
is made for our own logs: a harmless word too many may be masked, but the text around it stays readable. Every pattern
starts where a word starts, so that the time is linear in the text, hostile or not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

MASK = "[masked]"

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_SHORTEST_VALUE = 6  # "true", "1" and "false" are settings; replacing them would eat half of a log

_COMPOUND_KEY = r"(?:api|access|secret|private|signing|encryption|auth|account)[_-]?key"
# What follows the sign of an assignment: a quoted string, or everything up to the next blank or separator.
_VALUE = r"""(?!\[masked|…|(?:None|null|true|false)\b)(?:"[^"\n]+"|'[^'\n]+'|[^\s"',;&)}\]]+)"""

_SHAPES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", MASK),
        # scheme://user:password@host
        (r"(?i)((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", rf"\1{MASK}"),
        (r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer|token)\s+)?)[^\s\"',]{6,}", rf"\1{MASK}"),
        (r"(?i)\b(bearer\s+)(?=\S*\d)[\w.~+/=-]{8,}", rf"\1{MASK}"),
        # OpenAI, Anthropic (sk-ant-) and the servers that imitate them
        (r"(?<![\w-])sk-(?=[\w-]*\d)[\w-]{12,}", MASK),
        # Hugging Face, Google, GitHub
        (r"(?<![\w-])(?:hf_[A-Za-z0-9]{16,}|AIza[\w-]{20,}|gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_\w{20,})", MASK),
        # Groq, Replicate, xAI, NVIDIA, Perplexity, Slack, GitLab
        (r"(?<![\w-])(?:gsk_|r8_|xai-|nvapi-|pplx-|xox[abeprs]-|glpat-)(?=[\w-]*\d)[\w-]{16,}", MASK),
        # AWS access key id, JSON web token
        (r"(?<![\w-])(?:AKIA[0-9A-Z]{16}\b|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)", MASK),
        # OPENAI_API_KEY=value, DB_PASSWORD: value. The name ends in the word, so MAX_TOKENS=4096 stays.
        (rf"((?<!\w)[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD)\s*=\s*){_VALUE}", rf"\1{MASK}"),
        (rf"((?<!\w)[A-Z0-9]+_[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD):\s*){_VALUE}", rf"\1{MASK}"),
        # x-api-key: value, api_key=value, "api_key": "value"
        (rf"(?i)((?<![\w-])[\w-]*{_COMPOUND_KEY}[\"']?\s*[=:]\s*){_VALUE}", rf"\1{MASK}"),
        # password=value, "secret": "value"; but prose may say "password: at least eight letters"
        (
            rf"(?i)((?<![\w-])[\w-]*(?:secret|password|passwd|passphrase)(?:[\"']\s*:|[\"']?\s*=)\s*){_VALUE}",
            rf"\1{MASK}",
        ),
        # token=value. Models have pad_token='<pad>' and token=5, so only what holds letters and digits.
        (
            r"(?i)((?<![\w-])[\w-]*token(?:[\"']\s*:|[\"']?\s*=)\s*[\"']?)"
            r"(?=[\w./+~-]*\d)(?=[\w./+~-]*[a-z])[\w./+=~-]{8,}",
            rf"\1{MASK}",
        ),
    )
)


def mask_secrets(text: str, environ: Mapping[str, str] | None = None) -> str:
    """`text` with secrets replaced by `[masked]`, or by `[masked NAME]` for the value of an environment variable.

    `environ` is the environment whose secret values are looked for (default: this process's own).

    >>> mask_secrets("GET https://ann:hunter22@example.org/v1 failed", {})
    'GET https://ann:[masked]@example.org/v1 failed'
    >>> mask_secrets("tried with s3cr3t-value", {"MY_API_KEY": "s3cr3t-value"})
    'tried with [masked MY_API_KEY]'
    """
    found = [
        (value, name)
        for name, value in (os.environ if environ is None else environ).items()
        if _SECRET_NAME.search(name) and not _is_setting(name.upper(), value)
    ]
    for value, name in sorted(found, key=lambda pair: len(pair[0]), reverse=True):  # a value may contain another
        text = text.replace(value, f"[masked {name}]")
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    return text


def _is_setting(name: str, value: str) -> bool:
    """Values that are words of every log: MAX_TOKENS=131072, TOKENIZERS_PARALLELISM=disabled, OPENAI_API_KEY=ollama."""
    if len(value) < _SHORTEST_VALUE or "TOKENIZER" in name:
        return True
    if "PASSW" in name or "SECRET" in name:
        return False
    return ("TOKENS" in name and value.isdigit()) or (value.isalpha() and len(value) < 12)
