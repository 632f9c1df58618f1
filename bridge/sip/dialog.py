"""What two user agents know of each other during a call (RFC 3261 §12)."""

import ipaddress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bridge.errors import RemoteProtocolError
from bridge.hosts import address_of, bracketed, is_v6, same_host
from bridge.sip.flow import RELIABLE, Address, connection_of, is_reliable, transport_of
from bridge.sip.grammar import NameAddr, Uri
from bridge.sip.message import Headers, Request, Response

__all__ = ["Dialog", "LocalPlace", "Proposal", "Whereabouts"]

_BEHIND_NAT = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"),
            *("169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)
"""Networks that are as many as there are NATs; an address in one of them says nothing outside it."""


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """Where peers reach us, as seen from one of them."""

    ip: str
    port: int
    user_agent: str = "cosybridge"
    """Product named in our messages."""
    transport: str = "UDP"
    """By what that peer and we talk; one of `bridge.sip.flow.TRANSPORTS`."""

    scheme: str = "sip"
    """``sips`` where the call may go by nothing but TLS."""

    @property
    def contact(self) -> str:
        # A sips URI says by its scheme that it is TLS (§26.2.2).
        is_said = self.transport == "UDP" or (self.scheme, self.transport) == ("sips", "TLS")
        said = "" if is_said else f";transport={self.transport.lower()}"
        return f"<{self.scheme}:cosybridge@{self.host}:{self.port}{said}>"

    @property
    def host(self) -> str:
        """The address as it stands in a URI or a Via."""
        return bracketed(self.ip)

    def via(self, branch: str) -> str:
        """Top Via of a request of ours; rport asks for the way back through a NAT (RFC 3581)."""
        return f"SIP/2.0/{self.transport} {self.host}:{self.port};rport;branch={branch}"


class Whereabouts(NamedTuple):
    """How a peer can be reached."""

    target: Uri
    """Its Contact: where requests are addressed to."""
    fallback: tuple[str, int] | None
    """Where to send when the Contact lies behind a NAT and no proxy is in the path."""


@dataclass(slots=True)
class Dialog:
    """State that every request within the call is built from, and checked against."""

    call_id: str
    local: str
    """Our From of requests, our To of theirs: address with tag."""
    remote: str
    """The peer's address with tag, as it wrote it."""
    local_tag: str
    remote_tag: str
    peer: Whereabouts
    route_set: tuple[str, ...]
    """Proxies that want to stay in the path, ours first."""
    place: LocalPlace
    flow: tuple[str, int] = ("", 0)
    """The other end of the connection that the peer was last heard on; empty over UDP."""
    local_seq: int = 0
    """Number of our last request; 0 before the first."""
    remote_seq: int = field(default=-1)
    """Number of the peer's last request; -1 before the first."""

    @classmethod
    def of_callee(
        cls, invite: Request, *, local_tag: str, place: LocalPlace, source: tuple[str, int]
    ) -> "Dialog":
        """Set up the side that was called (§12.1.1).

        Raises:
            RemoteProtocolError: If the INVITE has no usable Contact, or a broken Record-Route.
        """
        return cls(
            call_id=invite.call_id,
            local=f"{invite.headers.get('To')};tag={local_tag}",
            remote=invite.headers.get("From") or "",
            local_tag=local_tag,
            remote_tag=invite.from_.tag,
            peer=_whereabouts(invite, _target(invite), source=source),
            route_set=_routes(invite),
            place=place,
            flow=source if is_reliable(source) else ("", 0),
            remote_seq=invite.cseq.number,
        )

    @classmethod
    def of_caller(
        cls,
        invite: Request,
        response: Response,
        *,
        place: LocalPlace,
        source: tuple[str, int] | None = None,
    ) -> "Dialog":
        """Set up the side that called, from the 2xx (§12.1.2).

        Raises:
            RemoteProtocolError: If the response has no usable Contact, or a broken Record-Route.
        """
        target = _target(response)
        # A response has no Via of its sender: its private Contact alone shows the NAT.
        is_behind_nat = source is not None and _is_hidden(target.host, source[0])
        return cls(
            call_id=invite.call_id,
            local=invite.headers.get("From") or "",
            remote=response.headers.get("To") or "",
            local_tag=invite.from_.tag,
            remote_tag=response.to.tag,
            peer=Whereabouts(target, source if is_behind_nat else None),
            route_set=_routes(response)[::-1],
            place=place,
            # A call over UDP whose INVITE was too long for it does not stay on the connection of that.
            flow=source if source is not None and place.transport in RELIABLE else ("", 0),
            local_seq=invite.cseq.number,
        )

    @property
    def target(self) -> Uri:
        """The peer's Contact."""
        return self.peer.target

    @property
    def destination(self) -> tuple[str, int]:
        """Where the next request is sent to (§8.1.2), on the present connection if there is one."""
        if self.route_set:
            place: tuple[str, int] = NameAddr.parse(self.route_set[0]).uri.destination
        else:
            place = self.peer.fallback or self.target.destination
        flow = self.flow
        if not is_reliable(flow):
            return place
        # If the connection is gone then the next one is made to whom the last one was proven to be.
        name = flow.name if isinstance(flow, Address) and flow == place else ""
        has_port = place.has_port if isinstance(place, Address) else True
        return Address(*place, transport_of(flow), connection_of(flow), name, has_port=has_port)

    def has(self, request: Request) -> bool:
        """Whether the request belongs to this dialog; its To tag is taken as ours (§12.2.2)."""
        return request.call_id == self.call_id and request.from_.tag == self.remote_tag

    def admits(self, request: Request) -> bool:
        """Note the request's number; False if it is older than one already seen (§12.2.2)."""
        if request.cseq.number <= self.remote_seq:
            return False
        self.remote_seq = request.cseq.number
        return True

    def whereabouts(self, request: Request, *, source: tuple[str, int]) -> Whereabouts:
        """Where the peer will be if this re-INVITE is accepted (§12.2.2); `peer` follows it then.

        Raises:
            RemoteProtocolError: If its Contact is malformed.
        """
        target = self.target if request.contact is None else _target(request)
        return _whereabouts(request, target, source=source)

    def follow(self, response: Response, *, source: tuple[str, int] | None) -> None:
        """Take the peer's Contact from the 2xx to a re-INVITE or UPDATE of ours (§12.2.1.2), if any."""
        try:
            target = _target(response)
        except RemoteProtocolError:
            return  # it need not repeat where it is
        is_behind_nat = source is not None and _is_hidden(target.host, source[0])
        self.peer = Whereabouts(target, source if is_behind_nat else None)

    def request(self, method: str, *, branch: str) -> Request:
        """Build the next request to the peer."""
        self.local_seq += 1
        return self._build(method, self.local_seq, branch=branch)

    def ack(self, invite_seq: int, *, branch: str) -> Request:
        """Acknowledge a 2xx, end to end (§13.2.2.4)."""
        return self._build("ACK", invite_seq, branch=branch)

    def _build(self, method: str, number: int, *, branch: str) -> Request:
        uri, routes = self.target.text, list(self.route_set)
        if routes and (first := NameAddr.parse(routes[0]).uri).parameter("lr") is None:
            # A strict router wants to find itself in the Request-URI (§12.2.1.1).
            uri, routes = first.text, [*routes[1:], f"<{self.target.text}>"]
        # What it is carried by may differ from what the call began with: a Contact says so, or its length.
        place = replace(self.place, transport=transport_of(self.destination))
        headers = Headers([("Via", place.via(branch)), ("Max-Forwards", "70")])
        for route in routes:
            headers.add("Route", route)
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{number} {method}")
        if method != "BYE":
            headers.add("Contact", self.place.contact)
        headers.add("User-Agent", self.place.user_agent)
        return Request(method, uri, headers)


@dataclass(frozen=True, slots=True)
class Proposal:
    """An offer of the peer's that is to be decided."""

    request: Request
    source: tuple[str, int]
    dialog: Dialog
    peer: Whereabouts
    """Where to find the peer once this is accepted; until then it is where it was."""


def _target(message: Request | Response) -> Uri:
    contact = message.contact
    if contact is None and isinstance(message, Request) and not message.via.is_unique:
        # RFC 2543 §6.13 made the Contact optional: then the caller is where its From says.
        contact = message.from_
    if contact is None or contact.uri.scheme not in ("sip", "sips"):
        raise RemoteProtocolError("no SIP Contact to send requests to", rule="RFC 3261 §12.1")
    return contact.uri


def _whereabouts(request: Request, target: Uri, *, source: tuple[str, int]) -> Whereabouts:
    said = request.via.host
    is_behind_nat = not same_host(said, source[0]) and same_host(said, target.host)
    return Whereabouts(target, source if is_behind_nat else None)


def _is_hidden(host: str, source_ip: str) -> bool:
    """Whether `host` is an address of a network that `source_ip` is not in, nor anybody else."""
    said, seen = address_of(host), address_of(source_ip)
    if said is None or seen is None or is_v6(said) is not is_v6(seen):
        return False
    address, source = ipaddress.ip_address(said), ipaddress.ip_address(seen)
    return any(address in network and source not in network for network in _BEHIND_NAT)


def _routes(message: Request | Response) -> tuple[str, ...]:
    """The recorded route, checked now: it is used when nobody can be told that it is broken."""
    routes = tuple(message.headers.listed("Record-Route"))
    for route in routes:
        if not NameAddr.parse(route).uri.host:
            raise RemoteProtocolError(f"a route without a host: {route!r}", rule="RFC 3261 §20.30")
    return routes
