"""Tokens, scopes, proxies and limits: the decisions, without a server."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.access import audit
from lineage.access.keeper import EVERY, MOST_BYTES, Keeper, changing, read
from lineage.access.limits import MOST, Buckets
from lineage.access.origin import Asked, foreign, rebound
from lineage.access.proxy import Proxy
from lineage.access.scopes import EVERYONE, SCOPES, Access, Need, need, refusal
from lineage.access.tokens import BadTokens, Token, dump, load, make, recognised, session
from lineage.cli import main
from lineage.config import InvalidSetting
from lineage.errors import Forbidden, Unauthorized

from .conftest import COMMAND, clean_environment

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def token(name: str = "t", *scopes: str, ends: datetime | None = None) -> tuple[str, Token]:
    return make(name, scopes or ("read",), [], NOW, ends)


# -- tokens ---------------------------------------------------------------------------


def test_a_token_is_random_and_only_its_hash_is_kept() -> None:
    """256 bits; neither it nor its session stands in the file, and the file opens no door."""
    secret, kept = token()
    assert len({token()[0] for _ in range(100)}) == 100
    assert len(secret) >= 43 and secret.startswith("lin_")
    text = dump([kept])
    assert secret not in text and session(secret) not in text
    for stolen in re.findall(r"[0-9a-f]{64}", text):
        for browser in (True, False):
            assert isinstance(recognised([kept], stolen, NOW, browser), str)


def test_a_token_is_no_session_and_a_session_no_token() -> None:
    """Who steals a cookie cannot send it as a bearer."""
    secret, kept = token()
    assert recognised([kept], secret, NOW, browser=False) is kept
    assert recognised([kept], session(secret), NOW, browser=True) is kept
    assert isinstance(recognised([kept], secret, NOW, browser=True), str)
    assert isinstance(recognised([kept], session(secret), NOW, browser=False), str)


def test_a_token_ends() -> None:
    """At its moment, or when it is revoked; the answer says which, to whom has the token."""
    secret, kept = token(ends=NOW + HOUR)
    assert recognised([kept], secret, NOW + HOUR - timedelta(seconds=1), False) is kept
    assert recognised([kept], secret, NOW + HOUR, False) == "the token t is expired"
    gone = Token(**{**{s: getattr(kept, s) for s in Token.__slots__}, "revoked": NOW})
    assert recognised([gone], secret, NOW, False) == "the token t is revoked"


@given(st.lists(st.sampled_from(SCOPES), min_size=1), st.lists(st.text(min_size=1), max_size=3))
def test_what_is_kept_is_read_again(scopes: list[str], namespaces: list[str]) -> None:
    """Any scopes, any names of namespaces."""
    if "admin" in scopes and namespaces:
        with pytest.raises(BadTokens, match="admin is of all namespaces"):
            make("t", scopes, namespaces, NOW, None)
        return
    kept = make("t", scopes, namespaces, NOW, NOW + HOUR)[1]
    assert load(dump([kept])) == [kept]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"tokens": 1}', '{"tokens": [{}]}', "[" * 100_000, '{"tokens": [null]}',
     '{"tokens": [{"name": "../x", "scopes": [], "namespaces": null}]}'],
)  # fmt: skip
def test_a_file_that_is_none_says_so(text: str) -> None:
    """Never with what stands in it."""
    with pytest.raises(BadTokens) as caught:
        load(text)
    assert text[:50] not in caught.value.detail or not text


def test_names_are_not_shared() -> None:
    """Two tokens of one name could not be told apart in the audit log."""
    with pytest.raises(BadTokens, match="the same name"):
        load(dump([token()[1], token()[1]]))


def test_whatever_is_presented_is_only_not_known() -> None:
    """Endless, not text, empty: no error."""
    _, kept = token()
    for presented in ("", "x" * 10**6, "\udcff", "\0", "lin_", "ü"):
        assert recognised([kept], presented, NOW, False) == "this token is not known here"


# -- the file -------------------------------------------------------------------------


def test_a_change_of_the_file_is_seen(tmp_path: Path) -> None:
    """Within the second in which the file is not looked at, and no later."""
    path, clock = tmp_path / "tokens.json", Clock()
    with changing(path) as known:
        known.append(token("a")[1])
    keeper = Keeper(str(path), clock)
    with changing(path) as known:
        known.append(token("b")[1])
    assert [one.name for one in keeper.tokens()] == ["a"]
    clock.now += EVERY
    assert [one.name for one in keeper.tokens()] == ["a", "b"]


def test_a_file_that_is_gone_lets_nobody_in(tmp_path: Path) -> None:
    """To remove it is the quickest way to shut the door; a broken one is a slip of the pen."""
    path, clock = tmp_path / "tokens.json", Clock()
    with changing(path) as known:
        known.append(token("a")[1])
    keeper = Keeper(str(path), clock)
    path.write_text("{")
    clock.now += EVERY
    assert len(keeper.tokens()) == 1
    path.unlink()
    clock.now += EVERY
    assert keeper.tokens() == []
    with pytest.raises(BadTokens, match="lineage token create"):
        Keeper(str(path))


def test_changes_at_once_do_not_lose_each_other(tmp_path: Path) -> None:
    """Thirty who each add one; the file is whole at any moment, and its owner's only."""
    path = tmp_path / "deep" / "tokens.json"

    def add(n: int) -> None:
        with changing(path) as known:
            known.append(token(f"t{n}")[1])

    threads = [threading.Thread(target=add, args=(n,)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(path)) == 30
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == ["tokens.json", "tokens.json.lock"]


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    """An error in between, or tokens that could not be read again."""
    path = tmp_path / "tokens.json"
    with changing(path) as known:
        known.append(token("a")[1])
    before = path.read_text()
    with pytest.raises(BadTokens), changing(path) as known:
        known.append(known[0])
    with pytest.raises(ZeroDivisionError), changing(path) as known:
        known[:] = [1 // 0]  # type: ignore[list-item]
    assert path.read_text() == before
    path.write_text(" " * (MOST_BYTES + 1))
    with pytest.raises(BadTokens, match="too large"):
        read(path)


# -- what is needed -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/healthz", Need(None)),
        ("GET", "/static/lineage.css", Need(None)),
        ("POST", "/static/lineage.css", Need("admin", True)),
        ("GET", "/", Need("read")),
        ("HEAD", "/api/v1/actions", Need("read")),
        ("OPTIONS", "/api/v1/actions", Need("read")),
        ("GET", "/api/v1/stats", Need("read", True)),
        ("GET", "/api/v1/lineage/events", Need("read", True)),
        ("PUT", "/api/v1/actions/a/b", Need("write")),
        ("POST", "/api/v1/actions/batch", Need("write")),
        ("POST", "/api/v1/lineage", Need("write")),
        ("POST", "/api/v1/actions/other", Need("admin", True)),
        ("DELETE", "/api/v1/actions/a", Need("admin", True)),
        ("POST", "/api/v1/reindex", Need("admin", True)),
        ("POST", "//api/v1/lineage", Need("admin", True)),
        ("PUT", "//api/v1/actions/a", Need("admin", True)),
        ("GET", "//static/x", Need("read")),
        ("GET", "/healthz/", Need("read")),
        ("GET", "/static", Need("read")),
        ("TRACE", "/healthz/x", Need("admin", True)),
        ("NEVER-HEARD", "/", Need("admin", True)),
    ],
)
def test_what_a_request_needs(method: str, path: str, expected: Need) -> None:
    """What is not named needs most: a new route is closed until somebody opens it."""
    assert need(method, path) == expected


@given(st.sets(st.sampled_from(SCOPES)), st.sampled_from([None, frozenset(["a"])]), st.sampled_from(
    [Need(None), *(Need(s, w) for s in SCOPES for w in (False, True))]))  # fmt: skip
def test_nobody_does_what_they_may_not(
    scopes: set[str], namespaces: frozenset[str] | None, needed: Need
) -> None:
    """Admin includes the others, write does not include read, and the whole needs all of it."""
    access = Access("x", frozenset(scopes), namespaces)  # type: ignore[arg-type]
    allowed = needed.scope is None or (
        (needed.scope in scopes or "admin" in scopes) and not (needed.whole and namespaces)
    )
    assert (refusal(access, needed) is None) == allowed
    stranger = refusal(None, needed)
    assert stranger is None if needed.scope is None else isinstance(stranger, Unauthorized)
    assert refusal(EVERYONE, needed) is None


def test_a_namespace_is_its_whole_name() -> None:
    """Not a beginning, not another case, and none is not any."""
    access = Access("x", frozenset(["write"]), frozenset(["label-bot"]))
    assert access.records("label-bot") is None
    for other in ("", "label", "label-bot2", "Label-Bot", "label-bot ", "*"):
        assert isinstance(access.records(other), Forbidden)


# -- proxies --------------------------------------------------------------------------

RULES = "sre=read, ml=read+write@label-bot+triage, ops=admin, *=read@public"


def proxy(rules: str = RULES) -> Proxy:
    found = Proxy.parse("10.0.0.7, 10.1.0.0/16, fd00::/8", "X-User", "X-Groups", rules)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("peer", "believed"),
    [("10.0.0.7", True), ("10.0.0.8", False), ("10.1.2.3", True), ("::ffff:10.0.0.7", True),
     ("fd00::1", True), ("127.0.0.1", False), ("", False), ("/run/socket", False)],
)  # fmt: skip
def test_only_the_proxy_is_believed(peer: str, believed: bool) -> None:
    """By the address of who is really at the other end."""
    assert proxy().believes(peer) is believed


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"x-user", b"eve"), (b"x-groups", b"ml, sre")], ("eve (proxy)", {"read"}, None)),
        ([(b"x-user", b"ann"), (b"x-groups", b"ml")],
         ("ann (proxy)", {"read", "write"}, {"label-bot", "triage"})),
        ([(b"x-user", b"bob")], ("bob (proxy)", {"read"}, {"public"})),
        ([(b"x-groups", b"ops")], None),
        ([(b"x-user", b""), (b"x-groups", b"ops")], None),
        ([(b"x-user", b"bob"), (b"x-user", b"root"), (b"x-groups", b"ops")], None),
        ([(b"x-user", b"bob"), (b"x-groups", b"sre"), (b"x-groups", b"ops")],
         ("bob (proxy)", {"read"}, {"public"})),
    ],
)  # fmt: skip
def test_what_a_user_of_the_proxy_may(
    headers: list[tuple[bytes, bytes]], expected: tuple[str, set[str], set[str] | None] | None
) -> None:
    """The first rule that fits; a header that is there twice says nothing."""
    found = proxy().access(headers)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        name, scopes, namespaces = expected
        assert (found.name, set(found.scopes)) == (name, scopes)
        assert found.namespaces == (namespaces and frozenset(namespaces))


def test_whoever_is_in_no_group_may_nothing() -> None:
    """Known, but not let in."""
    found = proxy("ops=admin").access([(b"x-user", b"bob")])
    assert found is not None and not any(found.may(scope) for scope in SCOPES)


@pytest.mark.parametrize(
    ("proxies", "rules"),
    [("10.0.0", ""), ("host", ""), ("10.0.0.7", "ml"), ("10.0.0.7", "=read"), ("", "ml=read"),
     ("10.0.0.7", "ml=all"), ("10.0.0.7", "ml=admin@x"), ("10.0.0.7", "ml=read@")],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_refused(proxies: str, rules: str) -> None:
    """At the start, not with the first request."""
    with pytest.raises(InvalidSetting):
        Proxy.parse(proxies, "X-User", "X-Groups", rules)


def test_no_proxy_is_the_default() -> None:
    """Then no header says who asks."""
    assert Proxy.parse("", "X-User", "X-Groups", "") is None


# -- other sites ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "site", "other"),
    [("", "", False), ("http://h:1", "", False), ("http://h:2", "", True), ("null", "", True),
     ("http://h:1.evil", "", True), ("http://h:1", "cross-site", True), ("", "same-site", True),
     ("http://h:1", "same-origin", False), ("", "none", False)],
)  # fmt: skip
def test_a_page_of_another_site_is_told(origin: str, site: str, other: bool) -> None:
    """By what the browser says, which the page cannot forge."""
    assert foreign(Asked("h:1", origin, site)) is other


@pytest.mark.parametrize(
    ("host", "other"),
    [("localhost:8080", False), ("127.0.0.1:80", False), ("127.1.2.3", False), ("", False),
     ("[::1]:8080", False), ("lineage.localhost", False), ("evil.example", True),
     ("127.0.0.1.evil.example", True), ("localhost.evil.example:80", True)],
)  # fmt: skip
def test_a_name_that_is_not_this_machine_s_is_told(host: str, other: bool) -> None:
    """An attacker's name may have the address 127.0.0.1."""
    assert rebound(Asked(host, "", "")) is other


# -- limits and the log ---------------------------------------------------------------


def test_a_bucket_fills_again() -> None:
    """Two a second, four at once; one asker does not take another's."""
    clock = Clock()
    buckets = Buckets(2, 4, clock)
    assert [buckets.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert buckets.take("b") == 0
    clock.now += 0.5
    assert [buckets.take("a") for _ in range(2)] == [0, 0.5]
    clock.now += 3600
    assert sum(not buckets.take("a") for _ in range(10)) == 4


def test_askers_without_end_take_no_memory() -> None:
    """Those that asked longest ago are forgotten."""
    buckets = Buckets(1, 1, Clock())
    for n in range(MOST + 100):
        buckets.take(str(n))
    assert len(buckets._left) == MOST


@given(st.text(max_size=600), st.text(max_size=600), st.text(max_size=600))
def test_a_line_of_the_log_is_one_bounded_line(who: str, did: str, key: str) -> None:
    """Whatever stands in it: nobody writes a second line into the log."""
    line = audit.line(NOW, who, "::1", did, key, "created", 201)
    assert len(line.encode()) <= audit.LONGEST and len(line.splitlines()) == 1
    assert json.loads(line)["status"] == 201


def test_a_rotated_log_goes_on_in_the_new_file(tmp_path: Path) -> None:
    """What was moved away stays as it was."""
    log = audit.Audit(str(tmp_path / "audit.log"))
    log.write(["1", "2"])
    (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")
    log.write(["3"])
    log.write([])
    log.close()
    assert (tmp_path / "audit.log.1").read_text() == "1\n2\n"
    assert (tmp_path / "audit.log").read_text() == "3\n"


# -- the command ----------------------------------------------------------------------


def lineage(*arguments: str, file: Path | None = None) -> subprocess.CompletedProcess[str]:
    more = {} if file is None else {"LINEAGE_TOKENS": str(file)}
    return subprocess.run(
        [*COMMAND, "token", *arguments], text=True, capture_output=True, check=False,
        env=clean_environment(**more),
    )  # fmt: skip


def test_a_token_is_made_shown_once_listed_and_revoked(tmp_path: Path) -> None:
    """Standard output is the token alone, for `TOKEN=$(lineage token create …)`."""
    file = tmp_path / "tokens.json"
    made = lineage("create", "trainer", "--scope", "write", "--scope", "read",
                   "--namespace", "label-bot", "--expires", "90d", file=file)  # fmt: skip
    secret = made.stdout.strip()
    assert made.returncode == 0 and re.fullmatch(r"lin_[\w-]{43}", secret)
    assert "trainer may read and write in label-bot until" in made.stderr
    assert secret not in made.stderr + file.read_text()
    listed = json.loads(lineage("list", "--json", "--tokens", str(file)).stdout)
    assert [(one["name"], one["status"], one["namespaces"]) for one in listed] == [
        ("trainer", "valid", ["label-bot"])
    ]
    assert "hash" not in listed[0]
    assert lineage("revoke", "trainer", file=file).returncode == 0
    table = lineage("list", file=file).stdout
    assert "read, write" in table and "revoked" in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "a", "--scope", "all"], "'all' is not a scope"),
        (["create", "a b", "--scope", "read"], "no name of a token"),
        (["create", "a", "--scope", "admin", "--namespace", "n"], "admin is of all namespaces"),
        (["create", "a", "--scope", "read", "--expires", "soon"], "not a length of time"),
        (["create", "a", "--scope", "read", "--expires", "2001-01-01"], "is over already"),
        (["create", "known", "--scope", "read"], "choose another name"),
        (["revoke", "a"], "no token is called 'a'; there are known"),
    ],
)
def test_what_cannot_be_says_what_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """And the file stays as it was."""
    file = tmp_path / "tokens.json"
    with changing(file) as known:
        known.append(token("known")[1])
    before = file.read_text()
    with pytest.raises(SystemExit) as ended:
        main(["token", *arguments, "--tokens", str(file)])
    said = capsys.readouterr()
    assert (ended.value.code, said.out, says in said.err) == (1, "", True), said.err
    assert file.read_text() == before


def test_without_a_file_the_command_asks_for_one() -> None:
    """By both names it can be given."""
    done = lineage("list")
    assert done.returncode == 1 and "--tokens, or in LINEAGE_TOKENS" in done.stderr
