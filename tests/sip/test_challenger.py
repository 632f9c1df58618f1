import pytest

from bridge.sip.challenger import Challenger, Verdict
from bridge.sip.digest import Algorithm, Credentials, DigestClient
from bridge.sip.message import Headers, Request
from tests.fakes import MS, SeededIds
from tests.sip.messages import parsed_request, reply, request

S = 1000 * MS
LENA = Credentials("lena", "open sesame")
HOME, ELSEWHERE = "192.0.2.2", "192.0.2.77"


def desk(*accounts: Credentials) -> Challenger:
    return Challenger(realm="here", accounts=accounts or (LENA,), secret=b"a secret of ours")


def answered(
    challenger: Challenger, credentials: Credentials = LENA, *, now_ns: int = 0, ip: str = HOME, uses: int = 1
) -> Request:
    """An INVITE whose credentials use a nonce for the given time."""
    asked = request("INVITE")
    digest = DigestClient(credentials, ids=SeededIds())
    fields = tuple(challenger.challenge(ip, is_stale=False, now_ns=now_ns))
    digest.challenged(reply(asked, 401, extra=fields), asked)
    for _ in range(uses - 1):
        digest.fields("INVITE", asked.uri)
    return parsed_request(bytes(digest.again(asked, number=2, branch="z9hG4bK2")))


def with_field(asked: Request, old: str, new: str) -> Request:
    (value,) = asked.headers.all("Authorization")
    assert old in value
    headers = Headers(asked.headers.without("Authorization"))
    headers.add("Authorization", value.replace(old, new))
    return Request(asked.method, asked.uri, headers, asked.body)


def test_whoever_knows_the_password_is_admitted() -> None:
    challenger = desk()

    assert challenger.judge(answered(challenger), HOME, now_ns=1 * S) == (Verdict.ADMITTED, "lena")


def test_the_challenge_offers_the_stronger_hash_first_and_says_what_is_stale() -> None:
    (_, first), (name, second) = desk().challenge(HOME, is_stale=True, now_ns=0)

    assert "SHA-256" in first
    assert "MD5" in second
    assert name == "WWW-Authenticate"
    assert first.endswith("stale=true")


def test_where_only_md5_is_asked_for_nothing_else_is_taken() -> None:
    old = Challenger(realm="here", accounts=(LENA,), secret=b"a secret of ours", algorithms=(Algorithm.MD5,))

    ((_, only),) = old.challenge(HOME, is_stale=False, now_ns=0)

    assert "algorithm=MD5," in only
    assert old.judge(answered(old), HOME, now_ns=1)[0] is Verdict.ADMITTED
    assert old.judge(answered(desk()), HOME, now_ns=1)[0] is Verdict.WRONG


@pytest.mark.parametrize("field", ["", "Basic abc", 'Digest realm="there"', 'Digest realm="here'])
def test_credentials_for_somebody_else_are_none(field: str) -> None:
    asked = request("INVITE", extra=(f"Authorization: {field}",) if field else ())

    assert desk().judge(asked, HOME, now_ns=0)[0] is Verdict.MISSING


@pytest.mark.parametrize("stranger", [Credentials("lena", "wrong"), Credentials("mallory", "open sesame")])
def test_a_wrong_name_or_password_is_wrong(stranger: Credentials) -> None:
    challenger = desk()

    assert challenger.judge(answered(challenger, stranger), HOME, now_ns=0)[0] is Verdict.WRONG


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("algorithm=SHA-256", "algorithm=SHA-1"),
        ("algorithm=SHA-256", "algorithm=MD5"),
        ("qop=auth", "qop=none"),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=00000002"),
        ('uri="sip:bot@192.0.2.9"', 'uri="sip:other@192.0.2.9"'),
        ('uri="sip:bot@192.0.2.9"', 'uri="%"'),
        ('response="', 'response="\udcff'),
        ('nonce="', 'nonce="\udcff'),
    ],
)
def test_credentials_that_were_changed_on_the_way_are_wrong(old: str, new: str) -> None:
    challenger = desk()

    changed = with_field(answered(challenger), old, new)

    assert challenger.judge(changed, HOME, now_ns=0)[0] is Verdict.WRONG


def test_a_nonce_has_its_time() -> None:
    challenger = desk()
    early = answered(challenger, now_ns=5 * S)

    assert challenger.judge(early, HOME, now_ns=4 * S)[0] is Verdict.STALE
    assert challenger.judge(early, HOME, now_ns=65 * S)[0] is Verdict.STALE
    assert challenger.judge(early, HOME, now_ns=64 * S)[0] is Verdict.ADMITTED


def test_a_nonce_is_worth_nothing_at_another_address_or_after_our_restart() -> None:
    challenger = desk()
    sniffed = answered(challenger)

    assert challenger.judge(sniffed, ELSEWHERE, now_ns=1)[0] is Verdict.STALE
    restarted = Challenger(realm="here", accounts=(LENA,), secret=b"another secret!!")
    assert restarted.judge(sniffed, HOME, now_ns=1)[0] is Verdict.STALE


def test_a_nonce_that_is_not_of_our_making_is_stale_even_with_the_right_password() -> None:
    challenger = desk()
    asked = request("INVITE")
    digest = DigestClient(LENA, ids=SeededIds())
    digest.challenged(
        reply(asked, 401, extra=(("WWW-Authenticate", 'Digest realm="here", nonce="made-up", qop="auth"'),)),
        asked,
    )

    sent = digest.again(asked, number=2, branch="z9hG4bK2")

    assert challenger.judge(sent, HOME, now_ns=1)[0] is Verdict.STALE


def test_the_count_of_a_nonce_must_rise() -> None:
    challenger = desk()
    first, third = answered(challenger), answered(challenger, uses=3)

    assert challenger.judge(third, HOME, now_ns=1)[0] is Verdict.ADMITTED
    assert challenger.judge(first, HOME, now_ns=1)[0] is Verdict.STALE
    assert challenger.judge(third, HOME, now_ns=1)[0] is Verdict.STALE
    assert challenger.judge(answered(challenger, uses=4), HOME, now_ns=1)[0] is Verdict.ADMITTED


def test_a_nonce_that_had_to_be_forgotten_admits_nobody_any_more() -> None:
    challenger = desk()
    first = answered(challenger, now_ns=1)
    assert challenger.judge(first, HOME, now_ns=2)[0] is Verdict.ADMITTED

    for index in range(4096):
        later = answered(challenger, now_ns=10 + index)
        assert challenger.judge(later, HOME, now_ns=10_000)[0] is Verdict.ADMITTED

    assert challenger.judge(answered(challenger, now_ns=1, uses=9), HOME, now_ns=10_000)[0] is Verdict.STALE


def test_a_source_that_guesses_is_not_heard_for_a_minute() -> None:
    challenger = desk()
    wrong = answered(challenger, Credentials("lena", "guess"))
    for _ in range(5):
        assert challenger.judge(wrong, HOME, now_ns=0)[0] is Verdict.WRONG

    assert challenger.judge(answered(challenger), HOME, now_ns=59 * S)[0] is Verdict.IGNORED
    right = answered(challenger, now_ns=60 * S)
    assert challenger.judge(right, HOME, now_ns=60 * S)[0] is Verdict.ADMITTED
    elsewhere = answered(challenger, ip=ELSEWHERE)
    assert challenger.judge(elsewhere, ELSEWHERE, now_ns=1 * S)[0] is Verdict.ADMITTED


def test_wrong_answers_now_and_then_do_no_harm() -> None:
    challenger = desk()
    wrong = answered(challenger, Credentials("lena", "guess"))

    for minute in range(10):
        assert challenger.judge(wrong, HOME, now_ns=minute * 61 * S)[0] is Verdict.WRONG


def test_many_guessing_sources_are_forgotten_in_turn() -> None:
    challenger = desk()
    wrong = answered(challenger, Credentials("lena", "guess"))
    for _ in range(5):
        challenger.judge(wrong, HOME, now_ns=0)

    for index in range(4096):
        challenger.judge(wrong, f"10.0.{index >> 8}.{index & 255}", now_ns=0)

    assert challenger.judge(wrong, HOME, now_ns=0)[0] is Verdict.WRONG
