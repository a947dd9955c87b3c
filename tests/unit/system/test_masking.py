"""No secret leaves in a text, whatever its form; what is no secret does."""

import base64
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.errors import RemoteError
from luodi.project.origin import Origin
from luodi.registry import promotion, tags
from luodi.system import masking
from luodi.system.masking import redact, redacted
from luodi.system.processes import Runner

S = "hunTer2xQ7"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\nMIIEabcdefgh\n{S}{S}\nabc=\n-----END RSA PRIVATE KEY-----"
PLANTED = {
    "url": f"fatal: unable to access 'https://user:{S}@host/x.git/': no",
    "ssh": f"ssh://me:{S}@host/x and ssh://me@{S}@host/x",
    "token as user": f"https://{S}@github.com/x",
    "@ in a password": f"https://user:p@{S}@host/x",
    "@ and / in a password": f"https://user:p@ss/{S}@host:8080/x",
    "/ in a password": f"https://user:pa/{S}@host/x",
    "#? in a password": f"https://user:p#{S}?d@host/x",
    "space in a password": f"Cloning into 'x' from 'https://user:pa {S}@host/x'",
    "encoded url": f"next=https%3A%2F%2Fme%3A{S}%40host%2Fx",
    "no scheme": f"user:{S}@host/path",
    "no scheme, two @": f"user:p@{S}@host",
    "scp": f"ssh: user:{S}@host:path",
    "query": f"GET https://host/x?a=1&token={S}&b=2",
    "encoded query": f"https%3A%2F%2Fhost%2F%3Ftoken%3D{S}%26a",
    "sig": f"https://account.blob/x?sv=1&sig={S}%3D",
    "amz signature": f"X-Amz-Signature={S}",
    "amz credential": f"?X-Amz-Credential={S}%2F2024&X-Amz-Security-Token={S}",
    "bearer": f"401 for Bearer {S}",
    "authorization": f"{{'Authorization': 'Basic {S}'}}",
    "aws authorization": f"Authorization: AWS4-HMAC-SHA256 Credential={S}/2024, Signature={S}",
    "private token": f"PRIVATE-TOKEN: {S}",
    "account key": f"AccountName=a;AccountKey={S}==;EndpointSuffix=core",
    "sas": f"BlobEndpoint=x;SharedAccessSignature=sv=1&sig={S}%3D",
    "aws key": f"AWS_SECRET_ACCESS_KEY={S} dvc pull",
    "password": f"password={S}",
    "dvc setting": f"    secret_access_key = {S}",
    "yaml": f"remote:\n  password: {S}\n",
    "json": f'{{"secret": "{S}", "a": 1}}',
    "python": f"{{'aws_session_token': '{S}'}}",
    "json in json": f'"{{\\"password\\": \\"{S}\\"}}"',
    "github": f"ghp_{S}{S}",
    "github fine": f"github_pat_{S}_{S}",
    "gitlab": f"glpat-{S}{S}",
    "jwt": f"eyJhbGciOiJI.{S}.{S}",
    "private key": f"{KEY}\nrest",
    "private key in json": json.dumps({"key": KEY}),
    "half a private key": KEY[: -len("\nabc=\n-----END RSA PRIVATE KEY-----")],
    "basic": f"sent Basic dXNlcjpw{S}==",
    "netrc": f"machine host login me password {S}",
    "netrc in lines": f"machine host\n  login me\n  password {S}\n",
    "slack": f"url: /services/T0AB1CD2E/B0FG3HI4J/{S}{S} (timed out)",
    "discord": f"https://discord.com/api/webhooks/123456789/{S}_{S}",
    "teams": f"https://x.webhook.office.com/webhookb2/ab-cd@ef/IncomingWebhook/{S}/gh",
    "telegram": f"https://api.telegram.org/bot123456:{S}{S}/sendMessage",
    "cookie": f"Set-Cookie: session={S}; Path=/",
}


@pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED)
def test_what_has_the_form_of_a_secret_is_masked(text: str) -> None:
    shown = redact(text)
    assert S not in shown
    assert redact(shown) == shown


def test_what_stands_around_a_secret_stays() -> None:
    assert redact(PLANTED["account key"]) == "AccountName=a;AccountKey=***;EndpointSuffix=core"
    assert redact(PLANTED["query"]) == "GET https://host/x?a=1&token=***&b=2"
    assert redact(PLANTED["scp"]) == "ssh: host:path"
    assert redact(PLANTED["private key"]) == "-----BEGIN RSA PRIVATE KEY----- ***\nrest"
    assert json.loads(redact(PLANTED["json"])) == {"secret": "***", "a": 1}


PLAIN = [
    "token count = 5", "max_token = 100", "tokenizer: char", "preprocess.tokenizer char -> ngram",
    '{"tokenizer": "char", "max_tokens": 500}', "sort_keys=True, key=lambda row: row", "unlock with key=value",
    "d41d8cd98f00b204e9800998ecf8427e.dir", "commit ed0836aabbccddeeff00112233445566778899aa",
    "Ann Lee <ann@example.com>", "Author: Ann <ann@example.com>", "mailto:ann@example.com",
    "8 x 8 x 1 (height, width, channels)", "scans: 1,797 rows, images, brought to 64 x 48 x 3",
    "ssh://git@host/x.git", "`git push ssh://git@host:22/x HEAD:main`", "`git push ssh://me@[::1]/x`", "git+ssh://me@h",
    "git@host:x", "git@github.com:team/x.git", "ssh://host:22/x, or ask ann@example.com",
    "https://host/a@b", "https://host:8080/a@b", "http://127.0.0.1:9/x.git", "https://host?x=a@b",
    "https://host: see me@example.com", '{"url":"https://host","mail":"a@b"}', "s3://bucket/models@2", "s3://store@bucket/in",
    "reviews@v1.0.0", "stage 'train@reviews': failed", "ERROR: failed to reproduce 'train@reviews': see above",
    "dvc.yaml:train@reviews", "refs/tags/reviews@v1.0.0:refs/heads/x", "reviews#production#3",
    "`git clone /a b` ended with exit code 128:\n", "wrong password: expected one", "a secret: keep it to yourself",
    "Bearer tokens are used", "Basic authentication failed", "Basic understanding", "login as me, password unknown",
    "see /services/reviews/1 and /webhooks/7", 'Bearer realm="x"', "PATH=/a:/b@c/d:e@f/g",
    "data:image/png;base64,iVBORw0KGgo", "质量很好,下次还会再来 key：值", "epoch 1: loss 0.342 in 4.2 s",
]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_passes(text: str) -> None:
    assert redact(text) == text


VOCABULARY = (
    "the model reviews digits train evaluate gate held version commit is not in dvc.lock token tokens count password "
    "secret key keys expected found 5 0.8565 128 1,749 rows of images x 8 -> to Basic authorization signature "
    "reviews@v1.0.0 train@reviews ann@example.com git@github.com:team/x.git /srv/models/a@b.onnx https://host/x.git "
    "https://host:8080/a@b s3://bucket/models d41d8cd98f00b204e9800998ecf8427e "
    "ed0836aabbccddeeff00112233445566778899aa "
    "refs/tags/reviews@v1.0.0 2024-05-01T00:00:00+00:00 [0.8399, 0.8725] 质量很好 (see `luodi models`) error: "
    "warning:"
)
WORDS = st.sampled_from(VOCABULARY.split())


@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_plain_messages_pass_unchanged(text: str) -> None:
    assert redact(text) == text


@given(st.text())
def test_to_redact_twice_is_to_redact_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)


AWKWARD = ["Zx9!a/b c'd\"e", "p@ss#w?rd%41", "a+b=c/d==", "密码密码1234", "&<tag>&", "back\\slash\nline"]
WRITTEN: dict[str, Callable[[str], str]] = {
    "raw": str,
    "quoted": lambda value: quote(value, safe=""),
    "lower": lambda value: re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
    "plus": quote_plus,
    "json": lambda value: json.dumps(value)[1:-1],
    "repr": lambda value: repr(value)[1:-1],
    "html": html.escape,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
}


@pytest.mark.parametrize("name", ["DB_PASSWORD", "MY_SECRET", "HF_TOKEN", "SERVICE_API_KEY", "X_KEY_2", "SSHPASS"])
def test_the_value_of_a_variable_that_names_a_secret_is_masked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "zebra9")
    assert redact("on zebra9: https://host/zebra9 %3Azebra9%40 but xzebra9x") == (
        "on ***: https://host/*** %3A***%40 but xzebra9x"
    )


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("value", AWKWARD)
def test_a_known_value_is_masked_however_it_is_written(
    value: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", value)
    assert redact(f"before {WRITTEN[written](value)} after") == "before *** after"


@pytest.mark.parametrize("value", ["5", "1234", "true", "auto", "/etc/hosts", ""])
def test_a_switch_a_number_and_a_path_are_no_secrets(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_KEY", value)
    assert redact(f"see {value}, 5 of 1234 is true") == f"see {value}, 5 of 1234 is true"


ADDRESSES = ["https://me:{}@host/x", "https://me:p/{}@host/x", "https://me:a b{}@host/x", "me:{}@host:x", "me:{}@", "https://{}@host",
             "https://host/x?sig={}"]  # fmt: skip


@pytest.mark.parametrize("variable", ["LUODI_GIT_URL", "LUODI_DVC_REMOTE"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_what_an_address_holds_is_masked_without_it(
    address: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, address.format("pl%41nted99"))
    assert any("nted99" in value for value in masking.in_address(address.format("pl%41nted99")))
    bare = "pl%41nted99" if "p/" not in address and "a b" not in address else address.format("pl%41nted99")
    assert "nted99" not in redact(f"asked with {bare}")


def test_the_secrets_of_dvcs_settings_are_masked(tmp_path: Path) -> None:
    settings = tmp_path / "config.local"
    settings.write_text(
        "['remote \"r\"']\n    url = https://me:plantedUrl@host\n    secret_access_key = 'plantedKey'\n"
    )
    masking.learn_settings(settings, tmp_path / "none")
    assert redact("plantedUrl plantedKey") == "*** ***"


def test_a_private_key_that_comes_line_by_line_is_masked(tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "key").write_text(f"before\n{KEY}\nafter it\n")
    output = Runner(lines.append).run("cat", "key", cwd=tmp_path, stream=True)
    assert S not in output + "".join(lines)
    assert lines[0] == "before" and lines[-1] == "after it"


def test_values_in_facts_are_masked_and_all_else_stays() -> None:
    facts = {"by": "Ann <ann@example.com>", "reasons": ["password=x9y8z7", 1, None], "size": [8, 8, 1]}
    assert redacted(facts) == {**facts, "reasons": ["password=***", 1, None]}


def test_labels_stay_in_the_facts_of_a_version_whatever_they_look_like() -> None:
    """They are in params.yaml, which git has; and a card finds the figures of a class by its label."""
    facts = {"params": {"labels": ["token: lost", "password=forgotten"]}, "reason": "password=x9y8z7"}
    message = promotion._message("Title", facts)
    assert json.loads(message.partition("\n\n")[2]) == {"format": 2, **facts, "reason": "password=***"}


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://me:secret@host/x.git", "https://host/x.git"),
        ("https://host/x.git?token=abcdefgh", "https://host/x.git?token=***"),
        ("ssh://git@host/x.git", "ssh://git@host/x.git"),
        ("git@host:x.git", "git@host:x.git"),
        ("/srv/a:b@c/x.git", "/srv/a:b@c/x.git"),
    ],
)
def test_an_origin_is_written_down_without_its_password(url: str, address: str, tmp_path: Path) -> None:
    origin = Origin(url, "main", None, tmp_path)
    assert origin.address == address
    assert bool(origin.credentials()) == (url != address)


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "part",
    ["a", "a.", "a-", "a:", "a@", "a:@", "://a:b", "://u:p ", "%3A%2F%2F", "token ", "token=\\", "&amp;", "?a", "abcd ",
     "-----BEGIN PRIVATE KEY-----\nabcd efgh ", 'token="'],
)  # fmt: skip
def test_a_long_text_is_read_through_to_a_secret_at_its_end(part: str) -> None:
    """In a third of a second; in steps by the square of its length it would take minutes, and be ended."""
    read = redact(f"{part * (300_000 // len(part))}\nhttps://me:{S}@host/")
    assert read.endswith("\nhttps://host/")


# Port 9 is answered by nobody.
ADDRESSES = [
    f"https://user:{S}@127.0.0.1:9/x.git", f"https://user:pa/{S}@127.0.0.1:9/x.git",
    f"https://user:p@{S}@127.0.0.1:9/x.git", f"https://user:{S}#frag@127.0.0.1:9/x.git",
    f"https://user:{S}?q@127.0.0.1:9/x.git", f"https://user:two {S}@127.0.0.1:9/x.git",
    f"https://{S}@127.0.0.1:9/x.git", f"user:{S}@127.0.0.1:x.git", f"https://127.0.0.1:9/x.git?token={S}",
    f"https://127.0.0.1:9/x.git?sig={S}", f"https://127.0.0.1:9/x.git?X-Amz-Signature={S}&X-Amz-Credential={S}",
    f"https://127.0.0.1:9/x.git?access_token={S}", f"https://oauth2:glpat-{S}{S}@127.0.0.1:9/x.git",
    f"ssh://user:{S}@127.0.0.1:9/x.git", f"htps://user:{S}@127.0.0.1:9/x.git", f"https:/user:{S}@127.0.0.1:9/x.git",
    f"https//user:{S}@127.0.0.1:9/x.git", f"https:user:{S}@127.0.0.1:9/x.git", f"ftp://user:{S}@127.0.0.1:9/x.git",
    f"http://user:{S}%40more@127.0.0.1:9/x.git", f"https://user:p@ss/{S}@127.0.0.1:9/x.git", f"://user:{S}@127.0.0.1:9/x",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_git_cannot_reach_is_told_and_kept_without_its_secret(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUODI_GIT_URL", address)
    monkeypatch.setenv("LUODI_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=2")
    lines: list[str] = []
    with pytest.raises(RemoteError, match=r"cannot be reached: .*: see that LUODI_GIT_URL names it") as caught:
        tags.mirror(Origin.from_environment(), Runner(lines.append))
    told = f"{caught.value} {lines}"
    assert S not in told
    assert not re.search(r"fatal:|hint:", told)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and S.encode() in path.read_bytes()]
