"""Take secrets out of a text: first the values that this process knows, then whatever has the form of one.

Airflow's own masker, where there is one, is told the same values (see `luodi.airflow.operators`). It knows no forms,
and importing Airflow takes seconds, which no other command should spend.
"""

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
SHORT, SHORTEST = 8, 4  # a value of fewer letters is masked only where it stands alone; of fewer still, never

# A name that ends so names a secret: api_token, AWS_SECRET_ACCESS_KEY, and not tokenizer or sort_keys.
_ENDING = (
    r"(?:pass(?:word|wd|phrase)|secret|token|credentials?|signature|SharedAccessSignature|connection[_-]?string"
    r"|(?:api|access|account|auth|encryption|fernet|master|private|secret|shared|signing|storage|jwt)[_-]?key"
    r"|access[_-]?key[_-]?id)"
)
NAME = rf"[\w.-]{{0,60}}{_ENDING}"  # bounded, as all here: a text may be long, and of one word
ALONE = r"(?:(?<![^\W_])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
SEPARATOR = r"[?&;]|&amp;|%3F|%26|%3B"
PLAIN_VALUE = re.compile(r"\d{1,5}|true|false|yes|no|none|null|auto|\*+", re.IGNORECASE)
VARIABLE = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|KEY|CREDENTIAL|_PASS$|_PWD$|_AUTH$|WEBHOOK|^SSHPASS$", re.I
)
"""Names of environment variables, and of DVC's settings, that hold a secret."""
NO_VARIABLE = re.compile(r"GIT_CONFIG_KEY_\d+|.*_(FILE|PATH|DIR|HOME|SOCK|ID_FILE)|.*KEYBOARD.*|.*KEYMAP.*", re.I)
ADDRESSES = ("LUODI_GIT_URL", "LUODI_DVC_REMOTE", "LUODI_CHECKPOINTS", "LUODI_STUDIES")

KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
KEY_LINE = re.compile(r"\s*[\w+/=]{8,}\s*")
# To its end; of one that was cut off, the lines of letters.
KEY_BLOCK = re.compile(
    rf"({KEY_BEGINS.pattern})"
    r"(?:(?:(?!-----BEGIN)[\s\S])*?-----END [A-Z ]*PRIVATE KEY-----|(?:(?:\s|\\n)+[\w+/=]{8,})*(?: \*\*\*)?)"
)

# Before the host, up to the last @; the password may hold what a URL may not: / ? # @ and, in one word or two, a space.
# A port is no password, and an @ behind the first / of a path is a path's. Whom SSH logs in is no secret, nor is the
# connection of Airflow that opens a store: without it a command is another.
_NO_PORT = r"(?!\d{1,5}(?:[/?#\s'\"]|$))"
_OPENED = "|".join(rf"(?<={scheme}:\/\/)" for scheme in ("ssh", "sftp", "s3", "s3a", "gs", "gcs", "abfs", "abfss"))
_LOGIN = rf"(?:{_OPENED})[\w.+-]+@(?:[\w.-]+|\[[\w:.]+\])(?::\d{{1,5}})?(?:[/\s'\"`),;]|$)"
USERINFO = re.compile(
    rf"(?<=:\/\/)(?!{_LOGIN})(?:"
    rf"[^/\s:@\"<>]*:{_NO_PORT}(?:(?!:\/\/)[^\s\"<>]){{1,200}}@(?=[\w.-]+(?::\d{{1,5}})?/)"
    r"|[^/\s?#\"<>]*@"
    rf"|[^/\s:@\"<>]*:{_NO_PORT}[^\s\"<>@]{{1,200}}@(?:[^/\s\"<>]*@)?"
    rf"|[^/\s:@\"<>]*:{_NO_PORT}(?!\s)(?:(?!:\/\/)[^\n\"<>@]){{1,80}}@(?:[^/\s\"<>]*@)?(?=[\w\[])"
    r")"
)
ENCODED_USERINFO = re.compile(r"(?<=%3A%2F%2F)(?:(?!%2F|%3F)[^\s\"<>])*%40", re.IGNORECASE)
# USER:PASSWORD@HOST of a git or DVC address without a scheme, as scp writes it; MODEL@vN and an e-mail are none.
SCP = re.compile(
    r"(?<![\w/.@:%+-])[\w.+-]+:(?![/\s])[^\s:@\"'<>]*(?:@[^\s:@/\"'<>]*(?=@)|(?=@))@(?!v\d)"
    r"(?=[\w.-]+(?::[\w~./]|/[\w~.]))"
    r"|(?<![\w/.@:%+-])[\w.+-]+:(?![/\s])[^\s:@\"'<>]*@[^\s@\"'<>]*@(?=[\w.-])"
)

# An address in which a : or a / of the scheme is missing, or the host.
MISTYPED = re.compile(
    r"(?:https?|ssh|git|ftps?|s3|gs|webdavs?|azure|hdfs)(?::/?|/{1,2})([^/\s:@]+:.+@)|([^/\s:@]+:.+@)$", re.IGNORECASE
)

_VALUE = r"(?P<quote>\\*[\"'])?(?P<value>(?(quote)[^\n]*?(?=(?P=quote))|(?:(?!%26|&amp;)[^\s\"'&;\\])+))"
ASSIGNED = re.compile(rf"(?P<name>(?<![\w.-]){NAME}\\*[\"']?\s*(?:=|%3D)\s*){_VALUE}", re.IGNORECASE)
QUERY = re.compile(
    rf"(?P<name>(?:(?:{SEPARATOR})[\w.-]{{0,60}}(?:sig|key|auth|code|pwd|pass|jwt|{_ENDING})"
    rf"|(?<![\w-])sig)(?:=|%3D)){_VALUE}",
    re.IGNORECASE,
)
SAS = re.compile(r"(?P<name>SharedAccessSignature\s*=\s*)(?P<value>[^\s;\"']+)", re.IGNORECASE)
QUOTED = re.compile(rf"(?P<name>\\*[\"']{NAME}\\*[\"']\s*:\s*){_VALUE}", re.IGNORECASE)
SETTING = re.compile(rf"(?P<name>^[ \t>-]*{NAME}[ \t]*:[ \t]+)(?P<value>\S+)(?=[ \t]*$)", re.IGNORECASE | re.MULTILINE)
HEADER = re.compile(
    r"(?P<name>(?<![\w-])(?:[a-z]+-)+(?:token|key|secret|password|signature)\s*:\s*)(?P<value>[^\s\"',;]+)",
    re.IGNORECASE,
)
AUTHORIZATION = re.compile(
    r"(?P<name>authorization\\*[\"']?\s*[:=]\s*\\*[\"']?)"
    r"(?P<value>(?:basic|bearer|digest|token|negotiate|apikey)\s+[^\s\"']+|AWS4-[^\"'\n]+|[\w+/=.~-]{16,})",
    re.IGNORECASE,
)
BEARER = re.compile(
    r"(?P<name>\bbearer(?:\s+|%20|\+))(?P<value>(?!auth|tokens?\b|scheme|challenge|[a-z_]+=[\"']|[a-z]{1,15}(?![\w.~+/=%-]))[\w.~+/=%-]{8,})",
    re.IGNORECASE,
)
# What curl and git send, no word (a letter of another case, or a digit, behind the first) and no hash.
BASIC = re.compile(
    r"(?P<name>\b[Bb]asic(?:\s+|%20))(?P<value>(?![0-9a-f]{32,}\b)[A-Za-z0-9+/](?=[a-z+/]{0,99}[A-Z0-9])[A-Za-z0-9+/]{11,}={0,2})"
)
NETRC = re.compile(r"(?P<name>\blogin\s+\S{1,200}\s+password\s+)(?P<value>\S+)")
# The path of an address at which a chat takes messages (Slack, Discord, Teams, Telegram) is all that it asks for.
HOOK = re.compile(
    r"(?P<name>/services/(?=T[A-Z0-9]{6,}/B)|/webhooks/\d+/|/webhookb2/|/bot\d+:)(?P<value>[\w@.-]{8,}(?:/[\w@.-]+)*)"
)
COOKIE = re.compile(r"(?P<name>\bcookie:\s*)(?P<value>[^\"'\n]+=[^\"'\n]+)", re.IGNORECASE)
TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?P<name>)(?P<value>gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|gl[a-z]{2,5}-[\w-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abeprs]-[\w-]{10,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}"
    r"|sk-[\w-]{20,}|AIza[\w-]{35}|ya29\.[\w-]{20,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
FORMS = (SAS, AUTHORIZATION, BEARER, BASIC, NETRC, HOOK, COOKIE, ASSIGNED, QUERY, QUOTED, SETTING, HEADER, TOKEN)

_learnt: set[str] = set()


def redact(text: str) -> str:
    """Return `text` without secrets: the users and passwords of URLs are left out, what else is secret is `***`."""
    if known := secrets():
        text = _pattern(known).sub(MASK, text)
    text = KEY_BLOCK.sub(rf"\1 {MASK}", text)
    for address in (USERINFO, ENCODED_USERINFO, SCP):
        text = address.sub("", text)
    for form in FORMS:
        text = form.sub(_masked, text)
    return text


def redacted(value: Any) -> Any:
    """Return a JSON value with every string in it redacted."""
    if isinstance(value, dict):
        return {key: redacted(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(one) for one in value]
    return redact(value) if isinstance(value, str) else value


def _masked(found: re.Match[str]) -> str:
    value = found["value"]
    if not value or PLAIN_VALUE.fullmatch(value):
        return found[0]
    mark = found.groupdict().get("quote") or ""
    return f"{found['name']}{mark}{MASK}"


def secrets() -> frozenset[str]:
    """Return the values that are secret here: of the environment, of the project's addresses, and what was learnt."""
    found = {value for name, value in os.environ.items() if names_secret(name) and _is_secret(value)}
    addressed = {one for name in ADDRESSES for one in in_address(os.environ.get(name, ""))}
    return frozenset(value for value in found | addressed | _learnt if len(value) >= SHORTEST)


def learn_settings(*files: Path) -> None:
    """Remember the secrets in DVC's settings: they may come back in any error."""
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for name, value in re.findall(r"^\s*([\w-]+)\s*=\s*(.*?)\s*$", text, re.MULTILINE):
            bare = value.strip("\"'")
            _learnt.update(in_address(bare))
            if names_secret(name) and _is_secret(bare):
                _learnt.add(bare)


@lru_cache(maxsize=1024)  # each text that is redacted asks it of each variable
def names_secret(name: str) -> bool:
    """Whether a variable or a setting of that name holds a secret."""
    return bool(VARIABLE.search(name)) and not NO_VARIABLE.fullmatch(name)


def in_address(address: str) -> Iterator[str]:
    """Yield what is secret in the address of a git repository or a DVC remote."""
    found = [one[0] for one in (*USERINFO.finditer(address), *SCP.finditer(address))]
    if not found and (mistyped := MISTYPED.match(address)):
        found = [mistyped[1] or mistyped[2]]
    for one in found:
        user, colon, password = one.removesuffix("@").partition(":")
        if colon:
            yield f"{user}:{password}"
            while password:  # what is behind an @ git takes for the host, and shows
                yield password
                password = password.partition("@")[2]
        elif address.startswith("http"):  # a token as the user
            yield user
    for pair in address.partition("?")[2].split("&"):
        value = pair.partition("=")[2]
        if len(value) >= SHORT:
            yield value


def _is_secret(value: str) -> bool:
    """Whether a variable whose name says so does hold a secret: not a number, a switch, or the path of a file."""
    if PLAIN_VALUE.fullmatch(value) or (value.startswith(("/", "~", ".")) and os.path.exists(value)):  # noqa: PTH110, a value of any length
        return False
    return len(value) >= SHORTEST


@lru_cache(maxsize=16)
def _pattern(values: frozenset[str]) -> re.Pattern[str]:
    """What matches any of the values, however it is written down; the longest first."""
    spelt = {one for value in values for one in _spellings(value) if len(one) >= SHORTEST}
    parts = [
        re.escape(one) if len(one) >= SHORT else rf"{ALONE}{re.escape(one)}(?![^\W_])"
        for one in sorted(spelt, key=len, reverse=True)
    ]
    return re.compile("|".join(parts))


def _spellings(value: str) -> Iterator[str]:
    """A value as it is, and as URLs, JSON, Python, HTML, a shell and Basic authentication write it."""
    import html

    encoders: tuple[Callable[[str], str], ...] = (
        str, quote, lambda one: quote(one, safe=""), quote_plus, lambda one: json.dumps(one)[1:-1],
        lambda one: json.dumps(one, ensure_ascii=False)[1:-1], lambda one: repr(one)[1:-1], html.escape,
        lambda one: one.replace("'", "'\"'\"'"), lambda one: base64.b64encode(one.encode(errors="replace")).decode(),
    )  # fmt: skip
    for plain in {value, unquote(value), *(line for line in value.splitlines() if len(line) >= 2 * SHORT)}:
        for encode in encoders:
            spelt = encode(plain)
            yield spelt
            yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), spelt)
