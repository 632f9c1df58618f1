import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.sip.challenger import Challenger, Verdict
from bridge.sip.digest import (
    Algorithm,
    Challenge,
    Credentials,
    DigestClient,
    carry_credentials,
    digest_fields,
    proof,
    secret_of,
)
from bridge.sip.message import Headers, Request, Response
from tests.fakes import SeededIds
from tests.sip.messages import parsed_request, reply, request

LENA = Credentials("lena", "open sesame")
BASIC_CHALLENGE = 'Digest realm="pbx", nonce="n1", qop="auth"'


def client() -> DigestClient:
    return DigestClient(LENA, ids=SeededIds())


def challenged(asked: Request, *fields: str, status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return reply(asked, status, extra=tuple((name, field) for field in fields))


def again(digest: DigestClient, asked: Request) -> Request:
    """Send it again, and read it as the peer would."""
    number = asked.cseq.number + 1
    return parsed_request(bytes(digest.again(asked, number=number, branch=f"z9hG4bKagain{number}")))


def said(asked: Request, name: str = "Authorization") -> dict[str, str]:
    (value,) = asked.headers.all(name)
    fields = digest_fields(value)
    assert fields is not None
    return fields


def test_the_example_of_rfc_2617_section_3_5() -> None:
    secret = secret_of(Algorithm.MD5, user="Mufasa", realm="testrealm@host.com", password="Circle Of Life")

    answer = proof(
        Algorithm.MD5,
        secret,
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        method="GET",
        uri="/dir/index.html",
        qop="auth",
        count="00000001",
        cnonce="0a4f113b",
    )

    assert answer == "6629fae49393a05397450978507c4ef1"


@pytest.mark.parametrize(
    ("algorithm", "answer"),
    [
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm.SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_section_3_9_1(algorithm: Algorithm, answer: str) -> None:
    secret = secret_of(algorithm, user="Mufasa", realm="http-auth@example.org", password="Circle of Life")

    found = proof(
        algorithm,
        secret,
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        method="GET",
        uri="/dir/index.html",
        qop="auth",
        count="00000001",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )

    assert found == answer


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_the_session_variants_hash_the_nonces_into_the_secret() -> None:
    secret = secret_of(Algorithm.MD5_SESS, user="u", realm="r", password="p")

    found = proof(
        Algorithm.MD5_SESS, secret, nonce="n", method="M", uri="x", qop="auth", count="00000001", cnonce="c"
    )

    session = md5(md5("u:r:p") + ":n:c")
    assert found == md5(f"{session}:n:00000001:c:auth:{md5('M:x')}")


def test_auth_int_protects_the_body_and_no_qop_is_the_oldest_form() -> None:
    secret = secret_of(Algorithm.MD5, user="u", realm="r", password="p")

    whole = proof(
        Algorithm.MD5,
        secret,
        nonce="n",
        method="M",
        uri="x",
        qop="auth-int",
        count="00000001",
        cnonce="c",
        body=b"sdp",
    )
    oldest = proof(Algorithm.MD5, secret, nonce="n", method="M", uri="x")

    assert whole == md5(f"{md5('u:r:p')}:n:00000001:c:auth-int:{md5('M:x:' + md5('sdp'))}")
    assert oldest == md5(f"{md5('u:r:p')}:n:{md5('M:x')}")


def test_a_challenge_is_read_with_all_its_parts() -> None:
    text = 'digest  realm="a, \\"b\\"" , nonce="n", opaque="", algorithm=sha-256, QOP="auth-int", stale=TRUE,'

    assert Challenge.parse(text, is_proxy=True) == Challenge(
        realm='a, \\"b\\"',
        nonce="n",
        algorithm=Algorithm.SHA_256,
        qop="auth-int",
        opaque="",
        is_stale=True,
        is_proxy=True,
    )


@pytest.mark.parametrize(
    "text",
    [
        'Basic realm="x"',
        'Digest realm="x", nonce="n", algorithm=SHA-512-256',
        'Digest realm="x", nonce="n", qop="token"',
    ],
)
def test_a_challenge_that_we_cannot_answer_is_none(text: str) -> None:
    assert Challenge.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        'Digest realm="x"',
        'Digest nonce="x"',
        'Digest realm="x", nonce=""',
        'Digest realm="x", nonce="n", realm="y"',
        'Digest realm="x", nonce="n',
        'Digest realm="x" y, nonce="n"',
        "Digest realm",
        'Digest ="x"',
    ],
)
def test_a_broken_challenge_is_an_error(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Challenge.parse(text)


def test_the_strongest_challenge_of_a_realm_is_answered() -> None:
    digest, asked = client(), request("REGISTER")

    assert digest.challenged(
        challenged(
            asked,
            'Digest realm="pbx", nonce="n1", algorithm=MD5',
            'Digest realm="pbx", nonce="n2", algorithm=SHA-256, qop="auth"',
            'Digest realm="pbx", nonce="n3", algorithm=MD5, qop="auth"',
            "Digest broken",
            'Basic realm="pbx"',
        ),
        asked,
    )

    fields = said(again(digest, asked))
    assert (fields["nonce"], fields["algorithm"], fields["nc"]) == ("n2", "SHA-256", "00000001")


def test_the_request_goes_again_as_a_transaction_of_its_own() -> None:
    digest = client()
    asked = request("INVITE", body=b"v=0\r\n", extra=("X-Trace: 7",))
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)

    sent = again(digest, asked)

    assert sent.cseq.number == asked.cseq.number + 1
    assert sent.via.branch != asked.via.branch
    assert (sent.via.host, sent.via.port) == (asked.via.host, asked.via.port)
    assert (sent.call_id, sent.from_.tag, sent.body) == (asked.call_id, asked.from_.tag, asked.body)
    assert sent.headers.get("X-Trace") == "7"
    assert len(sent.headers.all("CSeq")) == len(sent.headers.all("Via")) == 1


def test_a_via_without_port_and_with_a_bare_parameter_is_kept() -> None:
    digest = client()
    asked = request("INVITE", via="SIP/2.0/UDP 192.0.2.2;rport")
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)

    via = again(digest, asked).via

    assert via.port is None
    assert via.parameter("rport") == ""


def test_a_proxy_and_a_registrar_are_answered_side_by_side_and_every_use_of_a_nonce_counts() -> None:
    digest, asked = client(), request("INVITE")
    digest.challenged(challenged(asked, 'Digest realm="proxy", nonce="p1", qop="auth"', status=407), asked)
    second = again(digest, asked)
    assert digest.challenged(challenged(second, 'Digest realm="pbx", nonce="n1", opaque="o"'), second)

    third = again(digest, second)

    assert said(third, "Proxy-Authorization")["nc"] == "00000002"
    own = said(third)
    assert own["opaque"] == "o"
    assert "nc" not in own
    assert "cnonce" not in own


def test_a_wrong_password_is_not_tried_twice() -> None:
    digest, asked = client(), request("REGISTER")
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)
    second = again(digest, asked)

    assert not digest.challenged(challenged(second, 'Digest realm="pbx", nonce="n2", qop="auth"'), second)
    # The next attempt begins without anything.
    assert digest.fields("REGISTER", "sip:x") == []


def test_a_stale_nonce_is_renewed_once() -> None:
    digest, asked = client(), request("REGISTER")
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)
    second = again(digest, asked)
    assert digest.challenged(
        challenged(second, 'Digest realm="pbx", nonce="n2", qop="auth", stale=true'), second
    )
    third = again(digest, second)
    assert said(third)["nonce"] == "n2"
    assert said(third)["nc"] == "00000001"

    assert not digest.challenged(
        challenged(third, 'Digest realm="pbx", nonce="n3", qop="auth", stale=true'), third
    )


def test_a_nonce_that_was_good_before_counts_as_stale_even_if_nobody_says_so() -> None:
    digest, asked = client(), request("REGISTER")
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)
    again(digest, asked)
    refresh = again(digest, asked)

    assert digest.challenged(challenged(refresh, 'Digest realm="pbx", nonce="n2", qop="auth"'), refresh)


def test_the_same_nonce_once_more_is_a_no() -> None:
    digest, asked = client(), request("REGISTER")
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)
    again(digest, asked)
    refresh = again(digest, asked)

    assert not digest.challenged(challenged(refresh, BASIC_CHALLENGE + ", stale=true"), refresh)


def test_a_second_request_challenged_with_the_same_nonce_goes_on_counting() -> None:
    digest, asked = client(), request("INVITE")
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)
    again(digest, asked)

    assert digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)
    assert said(again(digest, asked))["nc"] == "00000002"


def test_whoever_names_ever_new_realms_is_given_up() -> None:
    digest, asked = client(), request("INVITE")

    answers = [
        digest.challenged(challenged(asked, f'Digest realm="r{index}", nonce="n"'), asked)
        for index in range(6)
    ]

    assert answers == [True] * 4 + [False] * 2


@pytest.mark.parametrize("status", [403, 404, 200])
def test_other_answers_ask_for_nothing(status: int) -> None:
    asked = request("INVITE")

    assert not client().challenged(reply(asked, status), asked)


def test_the_ack_of_a_2xx_carries_what_its_invite_carried() -> None:
    digest, asked = client(), request("INVITE")
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)
    invite = again(digest, asked)

    ack = carry_credentials(invite, request("ACK"))

    assert ack.headers.all("Authorization") == invite.headers.all("Authorization")
    assert ack.headers.all("Proxy-Authorization") == []


def test_a_password_is_in_no_repr() -> None:
    assert "sesame" not in repr(LENA)
    assert "sesame" not in repr(client())


# What a datagram can hold once it is text: bytes that are no UTF-8 are kept as the last of these.
wild = st.characters(min_codepoint=9, max_codepoint=0x2FF) | st.characters(
    categories=["Cs"], min_codepoint=0xDC80, max_codepoint=0xDCFF
)


@given(st.text(wild, max_size=80))
def test_whatever_comes_as_a_challenge_or_as_credentials_harms_nobody(text: str) -> None:
    desk = Challenger(realm="here", accounts=(LENA,), secret=b"0123456789abcdef")
    asked = request("INVITE")
    for field in (text, f"Digest {text}", f'Digest realm="here", username="lena", qop=auth, {text}'):
        headers = Headers([*asked.headers.without("Authorization"), ("Authorization", field)])
        sent = Request("INVITE", asked.uri, headers)

        assert desk.judge(sent, "192.0.2.2", now_ns=0)[0] in (Verdict.MISSING, Verdict.WRONG)
        client().challenged(reply(asked, 401, extra=(("WWW-Authenticate", field),)), asked)


@given(realm=st.text(wild, min_size=1).filter(lambda text: not set(text) & set('"\\\r\n\t')))
def test_any_realm_and_nonce_can_be_answered(realm: str) -> None:
    digest, asked = client(), request("INVITE")

    if digest.challenged(challenged(asked, f'Digest realm="{realm}", nonce="{realm}", qop="auth"'), asked):
        sent = digest.again(asked, number=2, branch="z9hG4bK2")
        assert bytes(sent)
        assert said(sent)["realm"] == realm


texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters='"\\\x7f'), min_size=1
)


@given(
    user=texts,
    password=st.text(max_size=20),
    body=st.binary(max_size=40),
    weak=st.booleans(),
    qop=st.sampled_from(["auth", "auth-int"]),
)
def test_what_the_client_answers_the_challenger_accepts_once(
    user: str, password: str, body: bytes, weak: bool, qop: str
) -> None:
    account = Credentials(user, password)
    desk = Challenger(realm="here", accounts=(account,), secret=b"0123456789abcdef")
    digest = DigestClient(account, ids=SeededIds())
    asked = request("INVITE", body=body)
    fields = desk.challenge("192.0.2.2", is_stale=False, now_ns=5)
    texts = [text.replace("auth,auth-int", qop) for _, text in fields[weak:]]
    assert digest.challenged(challenged(asked, *texts), asked)

    sent = again(digest, asked)

    assert said(sent)["algorithm"] == ("MD5" if weak else "SHA-256")
    assert desk.judge(sent, "192.0.2.2", now_ns=6) == (Verdict.ADMITTED, user)
    assert desk.judge(sent, "192.0.2.2", now_ns=7)[0] is Verdict.STALE
    tampered = Request(sent.method, sent.uri, sent.headers, body + b"x")
    changed = desk.judge(tampered, "192.0.2.2", now_ns=8)[0]
    assert changed is (Verdict.WRONG if qop == "auth-int" else Verdict.STALE)


def test_a_via_of_ipv6_keeps_its_brackets() -> None:
    digest = client()
    asked = request("INVITE", via="SIP/2.0/UDP [2001:db8::1]:5070")
    digest.challenged(challenged(asked, BASIC_CHALLENGE), asked)

    assert str(again(digest, asked).via).startswith("SIP/2.0/UDP [2001:db8::1]:5070;")
