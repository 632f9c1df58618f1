"""What is fuzzed: everything that reads what strangers send, each with the laws that hold for any bytes.

A target takes bytes and returns; whatever it raises is a bug. What a peer may be blamed for is caught here.
"""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from bridge.cosyvoice.message import Malformed, decode_action, decode_event, encode_action, encode_event
from bridge.errors import NegotiationError, RemoteProtocolError
from bridge.rtp import header, rtcp
from bridge.rtp.dtmf import parse_event
from bridge.rtp.ice import IceLite, IceTerms
from bridge.rtp.stun import (
    BINDING_REQUEST,
    BINDING_SUCCESS,
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    StunMessage,
    xor_address,
)
from bridge.sip import events, wire
from bridge.sip.agent import AgentSettings
from bridge.sip.challenger import Challenger
from bridge.sip.digest import Challenge, Credentials
from bridge.sip.framing import StreamFramer
from bridge.sip.layer import Send
from bridge.sip.message import Request
from bridge.sip.offer import Negotiator
from bridge.sip.refer_events import AcceptReferral, Referred, TellReferral
from bridge.sip.sdp import SessionDescription
from tests.sip.desk import BRIDGE_SDP, Desk, connected, standing
from tests.sip.messages import OFFER, PHONE, raw, reply

__all__ = ["BREAK", "TARGETS", "VECTORS", "seeds"]

VECTORS = Path(__file__).parents[1] / "vectors"
BREAK = b"\x00\xff\x00"
"""Between the datagrams, or the pieces, of one input."""

_MOST_PIECES = 8
_WAITS_MS = (1, 600, 40, 5_000, 3, 33_000, 200, 1)
_SETTINGS = AgentSettings(
    allow=("192.0.2.0/24",), max_requests_per_s=1000, accounts=(Credentials("lena", "open sesame"),)
)
_ICE_SECRET = "a secret of ours, 22 and more"
_OUTSIDER = ("198.51.100.7", 5060)
_AUTHORITY = Challenger(realm="fuzz", accounts=(Credentials("lena", "x"),), secret=b"fuzz")


def sip_wire(data: bytes) -> None:
    """A message that is read can be written, and read again as the same."""
    try:
        message = wire.parse(data)
    except wire.BadRequestError as error:
        _answers_the_sender(error)
        return
    except RemoteProtocolError:
        return
    if message is not None:
        again = wire.parse(bytes(message))
        assert type(again) is type(message)
        assert bytes(again) == bytes(message)


def _answers_the_sender(fault: wire.BadRequestError) -> None:
    assert fault.answer(source=PHONE, to_tag="t").startswith(b"SIP/2.0 ")
    assert fault.reply_address(PHONE)[0] == PHONE[0]


def sip_agent(data: bytes) -> None:
    """Whatever comes, from a peer or a stranger, an agent with calls answers within bounds, and all ends."""
    desk = Desk(_SETTINGS)
    standing(desk)
    connected(desk)
    for number, piece in enumerate(data.split(BREAK)[:_MOST_PIECES]):
        desk.hear(piece, _OUTSIDER if piece[:1] == b"\x01" else PHONE)
        _serve(desk)
        desk.wait(_WAITS_MS[number])
        _serve(desk)
    desk.do(events.Hangup("us", "over"))
    desk.wait(200_000)
    _serve(desk)
    assert desk.agent.transactions == 0, "every transaction ends"


def _serve(desk: Desk) -> None:
    """Do what an endpoint would: answer calls and offers, let transfers go on."""
    outputs = desk.look()
    assert len(outputs) < 100, "a datagram may not make many"
    for output in outputs:
        match output:
            case Send() if not output.data.startswith(b"SIP/2.0 "):
                wire.parse(output.data)  # Requests of ours are whole, whatever they were built from.
            case events.Arrived(call=call):
                desk.do(events.Ring(call))
                desk.do(events.Answer(call, BRIDGE_SDP))
            case events.Offered(call=call, ticket=ticket):
                desk.do(events.AcceptOffer(call, ticket, BRIDGE_SDP))
            case Referred(call=call, ticket=ticket):
                desk.do(AcceptReferral(call, ticket))
                desk.do(TellReferral(call, ticket, 200))
            case _:
                pass


def sdp(data: bytes) -> None:
    """An offer is answered or refused; what is answered can be read; a second offer changes no codec."""
    negotiator = Negotiator(ip="192.0.2.9", port=20_000, session_id=1)
    for piece in data.split(BREAK)[:2]:
        try:
            answer = negotiator.answer(piece)
        except (RemoteProtocolError, NegotiationError):
            continue
        said = SessionDescription.parse(answer)
        assert bytes(said) == answer
        assert len(said.media) == len(SessionDescription.parse(piece).media), "streams keep their places"


def digest(data: bytes) -> None:
    """A challenge or a proof is read or refused; nothing invented admits anybody."""
    text = data.decode("utf-8", "replace").replace("\r", " ").replace("\n", " ").replace("\x00", " ")
    with contextlib.suppress(RemoteProtocolError):
        Challenge.parse(text)
    try:
        request = wire.parse(raw("INVITE", extra=(f"Authorization: {text}",)))
    except RemoteProtocolError:
        return
    assert isinstance(request, Request)
    verdict, _ = _AUTHORITY.judge(request, PHONE[0], now_ns=1)
    assert verdict.name != "ADMITTED"


def stream(data: bytes) -> None:
    """Wherever the network cuts a stream, the same messages come out of it."""
    whole = data.replace(BREAK, b"")
    try:
        expected = StreamFramer().feed(whole)
    except RemoteProtocolError:
        expected = None
    framer, found = StreamFramer(), []
    try:
        for piece in data.split(BREAK)[:-1]:
            found += framer.feed(piece)
        found += framer.feed(data.split(BREAK)[-1])
    except RemoteProtocolError:
        assert expected is None
        return
    assert expected is not None
    assert b"".join(found) == b"".join(expected)


def rtp(data: bytes) -> None:
    """A packet is read or refused, and its payload is part of it."""
    try:
        packet = header.parse(data)
    except RemoteProtocolError:
        return
    assert packet.payload in data
    assert header.parse(header.build(packet)) == packet
    with contextlib.suppress(RemoteProtocolError):
        parse_event(packet.payload)


def control(data: bytes) -> None:
    """A compound report is read or refused, and what was read can be written and read again."""
    try:
        packets = rtcp.parse(data)
    except RemoteProtocolError:
        return
    try:
        written = rtcp.build(packets)
    except ValueError:
        return  # more than we would ever say
    # Of kinds that nobody knows nothing is kept, and nothing written.
    assert not packets or rtcp.parse(written) == packets


def stun(data: bytes) -> None:
    """A check is answered or not, by no more than it takes, and without our secret nobody is believed."""
    answers = []
    for is_known in (False, True):
        end = IceLite(IceTerms("ours", _ICE_SECRET if is_known else "another secret of ours", "theirs"))
        answers.append(end.answer(data, PHONE))
        if answers[-1]:
            StunMessage.parse(answers[-1])
        assert is_known or end.nominated is None
    assert all(len(answer) < len(data) + 200 for answer in answers)


def cosyvoice(data: bytes) -> None:
    """A message of either side is read or refused."""
    for text in (data, data.decode("utf-8", "replace")):
        try:
            action = decode_action(text)
        except RemoteProtocolError:
            pass
        else:
            if not isinstance(action, Malformed):
                assert decode_action(encode_action(action)) == action
        try:
            event = decode_event(text)
        except RemoteProtocolError:
            continue
        encode_event(event)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "sip_wire": sip_wire,
    "sip_agent": sip_agent,
    "sdp": sdp,
    "digest": digest,
    "stream": stream,
    "rtp": rtp,
    "control": control,
    "stun": stun,
    "cosyvoice": cosyvoice,
}


def seeds(name: str) -> list[bytes]:
    """What mutation begins with: honest input, and every packet that was a bug once."""
    made: Iterable[bytes] = _SEEDS[name]()
    return [*made, *(path.read_bytes() for path in sorted(VECTORS.glob(f"fuzz_{name}_*")))]


def _vectors(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(VECTORS.glob(pattern))]


def _sip_seeds() -> list[bytes]:
    return [
        *_vectors("*.sip"),
        raw("INVITE", body=OFFER),
        raw("OPTIONS", extra=("Accept: application/sdp", "Supported: timer, 100rel")),
        bytes(reply(raw("INVITE"), 180)),
        bytes(reply(raw("INVITE"), 200, body=OFFER)),
    ]


def _agent_seeds() -> list[bytes]:
    """Messages that concern the two calls which stand; their names are those of a seeded desk."""
    desk = Desk(_SETTINGS)
    call = standing(desk)
    invite = connected(desk)
    ours = {"from_tag": "lena", "to_tag": invite.from_.tag, "call_id": invite.call_id}
    inside = [
        raw("BYE", branch="z9hG4bKb", number=2, to_tag=call),
        raw("INVITE", branch="z9hG4bKr", number=2, to_tag=call, body=OFFER),
        raw("UPDATE", branch="z9hG4bKu", number=3, to_tag=call, body=OFFER),
        raw("ACK", branch="z9hG4bKs", number=2, to_tag=call),
        raw("PRACK", branch="z9hG4bKp", number=4, to_tag=call, extra=("RAck: 1 1 INVITE",)),
        raw("INFO", branch="z9hG4bKi", number=3, to_tag=call, extra=("Info-Package: x",)),
        raw("REFER", branch="z9hG4bKf", number=4, to_tag=call, extra=("Refer-To: <sip:bob@192.0.2.3>",)),
        raw("NOTIFY", branch="z9hG4bKn", number=5, to_tag=call, extra=("Event: refer",)),
        raw("MESSAGE", branch="z9hG4bKm", extra=("Content-Type: text/plain",)),
        raw("BYE", branch="z9hG4bKo", number=7, **ours),  # type: ignore[arg-type]
        raw("INVITE", branch="z9hG4bKq", number=8, body=OFFER, **ours),  # type: ignore[arg-type]
    ]
    new = raw("INVITE", branch="z9hG4bKx", call_id="new", body=OFFER, extra=("Session-Expires: 90",))
    cancel = raw("CANCEL", branch="z9hG4bKx", call_id="new")
    return [
        *inside,
        bytes(reply(invite, 200, to_tag="fork", body=OFFER)),
        BREAK.join([inside[1], inside[3], inside[0]]),
        BREAK.join([new, new, cancel]),
        BREAK.join([b"\x01" + new, inside[6], inside[7]]),
        *_vectors("3.*.sip"),
    ]


def _sdp_seeds() -> list[bytes]:
    secure = OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + (
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
    )
    opus = OFFER.replace(b"8 0 101", b"111 9 110 13") + (
        b"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1;maxplaybackrate=16000\r\na=rtpmap:110 "
        b"telephone-event/48000\r\na=fmtp:110 0-11,66\r\na=ptime:20\r\na=maxptime:60\r\na=rtcp:4000\r\n"
    )
    held = OFFER.replace(b"IN IP4 192.0.2.2\r\nt=", b"IN IP4 0.0.0.0\r\nt=") + b"a=sendonly\r\na=rtcp-mux\r\n"
    video = OFFER + b"m=video 4 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n"
    return [OFFER, secure, opus, held, video, OFFER + BREAK + held]


def _digest_seeds() -> list[bytes]:
    return [
        b'Digest realm="fuzz", nonce="abc", algorithm=SHA-256, qop="auth,auth-int", opaque="o", stale=TRUE',
        b'Digest username="lena", realm="fuzz", nonce="1-2", uri="sip:bot@192.0.2.9", response="00", '
        b"cnonce=a, nc=00000001, qop=auth, algorithm=MD5",
        b'Basic bGVuYTp4, Digest realm="a\\"b"',
    ]


def _stream_seeds() -> list[bytes]:
    message = raw("OPTIONS")
    cut = message[:40] + BREAK + message[40:]
    return [message + message, cut, b"\r\n\r\n" + cut + b"\r\n", raw("MESSAGE", body=b"hello") + b"\r\n\r\n"]


def _rtp_seeds() -> list[bytes]:
    packet = header.RtpPacket(0, 7, 160, 9, b"\xd5" * 20, marker=True)
    event = header.RtpPacket(101, 8, 160, 9, bytes([5, 0x8A, 3, 32]))
    return [header.build(packet), header.build(event), *_vectors("bad_*.rtp")]


def _control_seeds() -> list[bytes]:
    block = rtcp.ReportBlock(7, 128, 3, 9, 4, 5, 6)
    report = rtcp.SenderReport(7, 0x83AA_7E80_8000_0000, 160, 3, 480, (block,))
    return [rtcp.build([report]), rtcp.build([rtcp.ReceiverReport(7, (block,))]), *_vectors("bad_*.rtcp")]


def _stun_seeds() -> list[bytes]:
    named = (USERNAME, b"ours:theirs"), (PRIORITY, bytes(4))
    checks = [
        StunMessage(BINDING_REQUEST, bytes(12), (*named, (ICE_CONTROLLING, bytes(8)))),
        StunMessage(BINDING_REQUEST, bytes(range(12)), (*named, (USE_CANDIDATE, b""))),
        StunMessage(BINDING_REQUEST, bytes(12), (*named, (0x7777, b"abc"))),
        StunMessage(BINDING_SUCCESS, bytes(12), ((XOR_MAPPED_ADDRESS, xor_address(PHONE, bytes(12))),)),
    ]
    return [*(check.signed(_ICE_SECRET.encode()) for check in checks), *(bytes(check) for check in checks)]


def _cosyvoice_seeds() -> list[bytes]:
    run = (
        b'{"header":{"action":"run-task","task_id":"a","streaming":"duplex"},"payload":{"task_group":"audio",'
        b'"task":"tts","function":"SpeechSynthesizer","model":"m","parameters":{"rate":1.5},"input":{}}}'
    )
    result = (
        b'{"header":{"task_id":"a","event":"result-generated","attributes":{}},"payload":{"output":'
        b'{"sentence":{"index":0,"words":[{"text":"a","begin_index":0,"end_index":1,"begin_time":0,'
        b'"end_time":9}]},"type":"sentence-end"},"usage":{"characters":3}}}'
    )
    more = run.replace(b"run-task", b"continue-task").replace(b'"input":{}', b'"input":{"text":"hi"}')
    failed = (
        b'{"header":{"task_id":"a","event":"task-failed","error_code":"X","error_message":"y"},"payload":{}}'
    )
    return [run, more, run.replace(b"run-task", b"finish-task"), result, failed]


_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "sip_wire": _sip_seeds,
    "sip_agent": _agent_seeds,
    "sdp": _sdp_seeds,
    "digest": _digest_seeds,
    "stream": _stream_seeds,
    "rtp": _rtp_seeds,
    "control": _control_seeds,
    "stun": _stun_seeds,
    "cosyvoice": _cosyvoice_seeds,
}
