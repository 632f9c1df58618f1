"""Every setting there is, with its type, its bounds and its default.

`config/bridge.toml` says the same to people; a test holds the two equal. Reading files, the
environment and the command line is `bridge.app.config`.
"""

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from bridge.app.ears_settings import EarsSection
from bridge.app.http_settings import SELF_MADE, HttpSection, check_pair
from bridge.app.section import Section as _Section
from bridge.app.trunk_settings import AccountSection, TrunkSection
from bridge.app.values import (
    Address,
    Address6,
    AgentName,
    Codecs,
    Digests,
    DnsServers,
    Faults,
    Glob,
    HeaderLines,
    HostList,
    HttpUrl,
    KeyMethods,
    Listen,
    Listens,
    MaybeAddress,
    MaybeAddress6,
    MaybeListens,
    MaybeSecret,
    Networks,
    OriginList,
    PortRange,
    Secrets,
    TtsUrl,
)
from bridge.app.webrtc_settings import WebRtcSection
from bridge.cosyvoice.endpoints import endpoint, fill_workspace, is_cloud
from bridge.hosts import spot
from bridge.sip.codecs import DEFAULT_CODECS
from bridge.sip.crypto import SrtpPolicy
from bridge.sip.ice import IcePolicy

__all__ = [
    "CLOUD_URL",
    "SELF_MADE",
    "ApiSection",
    "BargeInSection",
    "BudgetMs",
    "CallSection",
    "Config",
    "HttpSection",
    "LogSection",
    "MediaSection",
    "PromptsSection",
    "RecordingSection",
    "Route",
    "SipSection",
    "StartSection",
    "TtsSection",
    "TtsServerSection",
    "embedded_url",
]

CLOUD_URL = endpoint()
_PATH = "/api-ws/v1/inference"
_PRIVATE = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")

Region = Literal["cn-beijing", "ap-southeast-1", "cn-hongkong", "us-east-1", "eu-central-1", "ap-northeast-1"]
StageMs = Annotated[int, Field(ge=1, le=60_000)]


def embedded_url(listen: tuple[str, int]) -> str:
    """Where the embedded service answers when it listens on `listen`."""
    host, port = listen
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"ws://{spot(own, port)}{_PATH}"


class SipSection(_Section):
    """Who may call, and where the phone line is."""

    listen: Listens = (("0.0.0.0", 5060),)
    """Address of the phone line, of UDP and TCP; one of IPv4, one of IPv6, or both."""
    allow: Networks = _PRIVATE
    """Networks that may call; everybody else is dropped and counted."""
    dial_allow: Networks = ("127.0.0.0/8",)
    """Networks that outbound calls may go to."""
    tcp: bool = True
    """Take and make TCP connections as well, on the same port."""
    tls_listen: MaybeListens = ()
    """TCP addresses for TLS, likewise; empty: none."""
    tls_cert: str = ""
    """Our certificate file (PEM), ``self`` makes one; for `tls_listen`, and for `ws_listen` to be secured."""
    tls_key: str = ""
    """Its key file."""
    tls_client_ca: str = ""
    """File of authorities (PEM) whose certificate a caller over TLS must show; empty asks for none."""
    tls_ca: str = ""
    """File of authorities (PEM) that may vouch for peers we call over TLS; empty: those of the system."""
    ws_listen: MaybeListens = ()
    """TCP addresses for SIP over WebSocket (RFC 7118); empty: none."""
    ws_origins: OriginList = ()
    """Origins whose web pages may open such a WebSocket."""
    advertised_ip: MaybeAddress = None
    """IPv4 address that peers see in Via and Contact; None is that of the route to each peer."""
    advertised_ip6: MaybeAddress6 = None
    """The same for peers on IPv6."""
    dns_servers: DnsServers = ()
    """Whom to ask where names lead, instead of the servers of the system."""
    failover_after_ms: int = Field(default=4000, ge=500, le=32_000)
    """How long a server of a domain may say nothing to a call of ours before the next one is tried."""
    max_udp_bytes: int = Field(default=1300, ge=576, le=65_535)
    """Longest request of ours over UDP; with `tcp` a longer one goes over that, where somebody listens."""
    answer_after_ms: int = Field(default=0, ge=0, le=180_000)
    """How long it rings before it is answered."""
    ring_timeout_s: int = Field(default=60, ge=1, le=600)
    """How long a call of ours may ring."""
    refer: Literal["refuse", "follow"] = "refuse"
    """Whether a peer may have us call somebody (REFER), within `dial_allow` and the dials of trunks."""
    max_redirects: int = Field(default=3, ge=0, le=10)
    """Further addresses that a call of ours tries when it is sent on (3xx), within the same bounds."""
    max_calls: int = Field(default=256, ge=1, le=100_000)
    """Calls that one source address may have at a time."""
    max_requests_per_s: int = Field(default=200, ge=1, le=100_000)
    """Datagrams that one source address may send in a second; more are dropped and counted."""
    session_expires_s: int = Field(default=1800, ge=0, le=86_400)
    """How long a call may go unrefreshed (RFC 4028); it ends if its peer vanished. 0: the peer decides."""
    session_min_s: int = Field(default=90, ge=1, le=86_400)
    """Shortest such time that we bear; below 90 only for tests."""
    user_agent: str = Field(
        default="cosybridge", min_length=1, max_length=80, pattern=r"^[!-~]([ -~]*[!-~])?$"
    )
    """What the Server and User-Agent headers say."""
    realm: str = Field(default="cosybridge", min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_.@ -]+$")
    """What is named when a caller of `[[accounts]]` is asked for its password."""
    digests: Digests = ("SHA-256", "MD5")
    """Hashes it may answer with, best first; some old phones fail unless MD5 is alone."""

    @model_validator(mode="after")
    def _has_its_certificate(self) -> Self:
        check_pair(self.tls_cert, self.tls_key)
        if self.tls_listen and not self.tls_cert:
            raise ValueError('tls_listen needs tls_cert: a file, or "self"')
        return self

    def may_dial(self, ip: str) -> bool:
        """Whether `dial_allow` admits a call to this address."""
        address = ipaddress.ip_address(ip)
        return any(address in ipaddress.ip_network(network) for network in self.dial_allow)


class ApiSection(_Section):
    """The control API, beside the page."""

    orders_per_s: int = Field(default=20, ge=1, le=10_000)
    """Orders that are taken in a second, twice as many at once; looking is not limited."""
    event_clients: int = Field(default=32, ge=1, le=1000)
    """Event streams at a time."""
    event_backlog: int = Field(default=256, ge=16, le=65_536)
    """Events that may wait for a client; a slower one is told how many it missed, and closed."""
    play_hosts: HostList = ()
    """Hosts that sound files are fetched from: ``name``, or ``name:port``. Empty fetches nothing."""


class MediaSection(_Section):
    """The process that carries the sound."""

    ports: PortRange = (16384, 20479)
    """UDP ports for RTP, first and last; each call takes an even one and the one after it."""
    bind_ip: Address = "0.0.0.0"
    """IPv4 address that the RTP sockets are bound to."""
    bind_ip6: Address6 = "::"
    """The same of calls over IPv6."""
    advertised_ip: MaybeAddress = None
    """IPv4 address in our SDP; None is sip.advertised_ip or that of the route to each peer."""
    advertised_ip6: MaybeAddress6 = None
    """The same of calls over IPv6; None is sip.advertised_ip6 or that of the route."""
    capacity: int = Field(default=1024, ge=1, le=8192)
    """Calls that fit at a time; each costs about 130 kB of memory."""
    ports_shared: bool = False
    """Let calls share a few ports, told apart by where their peers send from; it halves the system's work."""
    wide_capacity: int = Field(default=128, ge=0, le=8192)
    """Calls of each wider sound, 16, 24 and 48 kHz, that fit beside them; each costs 0.3 to 0.8 MB."""
    codecs: Codecs = DEFAULT_CODECS
    """What calls may speak, best first. Offered in this order; of an offer, its first of these is taken."""
    opus_pass_through: bool = True
    """Ask the voice for Opus where a line speaks it, and pass its packets on untouched."""
    inactivity_s: int = Field(default=30, ge=1, le=86_400)
    """A call that sends no RTP for so long is hung up; held calls excepted."""
    realtime: bool = True
    """Ask the kernel for SCHED_FIFO; without the permission one line says how to grant it."""
    standby: bool = True
    """Keep a spare media process that carries the calls on when one dies; without it such calls end."""
    processes: int = Field(default=0, ge=0, le=64)
    """Media processes; 0 is one less than there are cores, and one at least."""
    plain_sockets: bool = False
    """Do without recvmmsg and sendmmsg, as platforms other than Linux must."""
    inband_digits: Literal["auto", "always", "never"] = "auto"
    """Listen for keys in the sound; auto: only where a phone takes no telephone events (RFC 4733)."""
    comfort_noise: bool = False
    """Say how our silence sounds instead of sending it, where a G.711 peer takes comfort noise (RFC 3389)."""
    srtp: SrtpPolicy = "off"
    """Encrypt calls: ``preferred`` where the caller offers it; ``required``: no others."""
    srtp_keys: KeyMethods = ("sdes", "dtls")
    """Where their keys may come from: ``sdes`` the SDP, ``dtls`` a handshake. We offer the first."""
    ice: IcePolicy = "auto"
    """ICE-lite: ``auto`` where keys come by handshake or our address is public; ``always``, ``off``."""


class TtsSection(_Section):
    """The voice, and the service that makes it."""

    url: TtsUrl = ""
    """``embedded``, ``cloud`` or a ws:// address; empty picks the cloud when there is a key."""
    api_key: MaybeSecret = None
    """Key of the service; DASHSCOPE_API_KEY is read where this is empty."""
    model: str = Field(default="cosyvoice-v3-flash", min_length=1)
    """Model that speaks where a route names none."""
    voice: str = Field(default="longanyang", min_length=1)
    """Voice that speaks where a route names none."""
    region: Region = "cn-beijing"
    """Where the cloud is, for ``cloud``: a key is for one region."""
    workspace: str = Field(default="", pattern=r"^([A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)?$")
    """Id of the cloud's workspace; also put where the address says ``{workspace_id}``."""
    spares: int = Field(default=1, ge=1, le=100)
    """Connections kept open and idle at least, so that the next sentence starts at once."""
    max_connections: int = Field(default=1000, ge=1, le=100_000)
    """Connections at most; who speaks when all are in use waits for one, for 10 s at most."""
    open_s: int = Field(default=5, ge=1, le=300)
    """How long a connection may take to open, in s."""
    started_s: int = Field(default=5, ge=1, le=300)
    """How long the service may take to start a task, in s."""
    first_sound_s: int = Field(default=10, ge=1, le=300)
    """How long the first sound may take, from the first whole sentence, in s."""
    sound_s: int = Field(default=10, ge=1, le=300)
    """How long the service may be silent in mid-sentence, in s."""
    task_s: int = Field(default=0, ge=0, le=86_400)
    """How long one task may take as a whole, in s; 0 sets no bound."""

    @model_validator(mode="after")
    def _has_its_workspace(self) -> Self:
        fill_workspace(self.url, self.workspace)
        return self


class TtsServerSection(_Section):
    """The embedded CosyVoice service."""

    listen: Listen = ("127.0.0.1", 8090)
    """TCP address."""
    enabled: bool = True
    """Whether `serve` starts it where its voice is the one that speaks."""
    api_keys: Secrets = ()
    """Keys that it accepts; empty accepts any."""
    threads: int = Field(default=2, ge=1, le=64)
    """Clauses rendered at the same time."""
    preload_chinese: bool = True
    """Load the Chinese voice, 0.4 GB, soon after the start; else with its first sentence."""
    max_connections: int = Field(default=1000, ge=1, le=100_000)
    """Clients at a time; more are refused with 503."""
    sounds: str = ""
    """Folder of the wav files that SSML may play; empty allows none. Nothing is ever fetched."""
    upstream: HttpUrl = ""
    """A self-hosted CosyVoice server that speaks instead of the local voices; empty: none."""
    faults: Faults = ()
    """Ways in which it is to misbehave, for tests: ``stall``, ``drop_mid_word``, ``slow_cancel`` …"""


class CallSection(_Section):
    """How long a call may last."""

    max_duration_s: int = Field(default=3600, ge=1, le=604_800)
    """A call is hung up after so long."""
    drain_s: int = Field(default=30, ge=0, le=86_400)
    """At SIGTERM, how long running calls may still go on."""


class RecordingSection(_Section):
    """Stereo recordings: caller left, bot right."""

    enabled: bool = False
    """Whether calls are recorded. Callers must be told where the law says so."""
    transcripts: bool = False
    """Whether a call's trace keeps what was said. No log ever does."""
    folder: str = Field(default="recordings", min_length=1)
    """Where the files go; relative to the working directory, readable by you alone."""


class RecordsSection(_Section):
    """What is kept of calls that are over."""

    enabled: bool = True
    """Whether records of calls outlive the process."""
    path: str = ""
    """SQLite file; empty is ``calls.sqlite`` in ``~/.local/state/cosybridge``."""
    keep_days: int = Field(default=30, ge=0, le=36_500)
    """Age at which records and recordings are deleted; 0 never."""
    keep_gb: float = Field(default=10.0, ge=0, le=1_000_000)
    """Recordings together; over it, the oldest are deleted. 0 is no limit."""
    numbers: bool = False
    """Whether it is kept who called whom."""


class PromptsSection(_Section):
    """Sound files that agents may play by name."""

    folder: str = Field(default="prompts", min_length=1)
    """Where they are; relative to the working directory."""


class BudgetMs(_Section):
    """What each stage of an interruption may take before it is reported as over budget, in ms."""

    mute: StageMs = 150
    """t2 − t0: from the caller's first sound to our first silent packet."""
    verdict: StageMs = 350
    """t3 − t1: from the gate to the decision that it is speech."""
    flush: StageMs = 50
    """t4 − t3: from the decision to the emptied playout."""
    cancel: StageMs = 100
    """t5 − t4: from there to the cancel on its way to the service."""
    spare_ready: StageMs = 100
    """t6 − t4: from there to an open connection bound to the call."""
    next_audio: StageMs = 1000
    """From the next reply's first text to its first audible sample, t7."""


class BargeInSection(_Section):
    """What happens when the caller talks over the voice."""

    sensitivity: Literal["low", "medium", "high"] = "medium"
    """How easily the caller takes the floor."""
    neural: bool = True
    """Whether Silero judges what is speech; without it, loudness and duration do."""
    budget_ms: BudgetMs = BudgetMs()


class OtelSection(_Section):
    """Traces for OpenTelemetry, one for each call."""

    enabled: bool = False
    """Whether they are sent; needs ``cosybridge[otel]``."""
    endpoint: HttpUrl = "http://127.0.0.1:4318/v1/traces"
    """Where to, by OTLP over HTTP. Keys go into OTEL_EXPORTER_OTLP_HEADERS."""
    service: str = Field(default="cosybridge", min_length=1, max_length=80)
    """What we are called there."""

    @model_validator(mode="after")
    def _has_its_collector(self) -> Self:
        if self.enabled and not self.endpoint:
            raise ValueError("endpoint is empty, so nobody would get the traces")
        return self


class StartSection(_Section):
    """What `serve` does before it says that it is ready."""

    self_call: bool = True
    """Call itself once and print what that took."""


class LogSection(_Section):
    """One line an event, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is printed."""
    format: Literal["text", "json"] = "text"
    """For people or for a collector."""


class Route(_Section):
    """What answers a called number. The first route whose `to` matches takes the call."""

    to: Glob = "*"
    """Pattern of the called user, as a shell would match it: ``*``, ``1??``, ``[12]*``."""
    agent: AgentName = "default"
    """``default`` or the import path of an agent, ``package.module:function``."""
    voice: str = ""
    """Voice; empty is tts.voice."""
    model: str = ""
    """Model; empty is tts.model."""
    language: str = Field(default="en", max_length=16)
    """Language hint; empty lets the service decide."""
    greeting: str = ""
    """What the agent says first; empty is the agent's own greeting."""
    early_media: bool = False
    """Whether the agent begins before the call is answered, and answers it itself: ``call.answer()``."""
    headers: HeaderLines = ()
    """Header fields of our answer, and of our INVITE, ``X-Customer: 4711``."""


class Config(_Section):
    """All settings, checked and frozen; get one from `bridge.app.config.load`."""

    sip: SipSection = SipSection()
    http: HttpSection = HttpSection()
    api: ApiSection = ApiSection()
    media: MediaSection = MediaSection()
    tts: TtsSection = TtsSection()
    tts_server: TtsServerSection = TtsServerSection()
    ears: EarsSection = EarsSection()
    call: CallSection = CallSection()
    recording: RecordingSection = RecordingSection()
    records: RecordsSection = RecordsSection()
    prompts: PromptsSection = PromptsSection()
    bargein: BargeInSection = BargeInSection()
    otel: OtelSection = OtelSection()
    start: StartSection = StartSection()
    log: LogSection = LogSection()
    routes: Annotated[tuple[Route, ...], Field(strict=False)] = (Route(),)
    webrtc: WebRtcSection = WebRtcSection()
    trunks: Annotated[tuple[TrunkSection, ...], Field(strict=False)] = ()
    accounts: Annotated[tuple[AccountSection, ...], Field(strict=False)] = ()

    @property
    def tts_kind(self) -> Literal["embedded", "cloud", "custom"]:
        """Which service speaks, once resolved."""
        if self.tts.url in ("embedded", embedded_url(self.tts_server.listen)):
            return "embedded"
        clouds = ("cloud", CLOUD_URL, endpoint(self.tts.region, self.tts.workspace))
        return "cloud" if self.tts.url in clouds else "custom"

    def resolved(self, *, dashscope_key: str = "") -> Self:
        """Fill in what depends on other settings: the service's address and key, each route's voice.

        Args:
            dashscope_key: Value of DASHSCOPE_API_KEY, or the empty text.
        """
        key = self.tts.api_key or (SecretStr(dashscope_key) if dashscope_key else None)
        url = self.tts.url or ("cloud" if key else "embedded")
        if url == "embedded":
            url = embedded_url(self.tts_server.listen)
        elif url == "cloud":
            url = endpoint(self.tts.region, self.tts.workspace)
        url = fill_workspace(url, self.tts.workspace)
        if url == embedded_url(self.tts_server.listen):
            # The cloud's key is nobody's business here, not even our own process's.
            key = next(iter(self.tts_server.api_keys), None)
        tts = self.tts.model_copy(update={"url": url, "api_key": key})
        ears = self._resolved_ears(url, key, dashscope_key)
        routes = tuple(
            route.model_copy(update={"voice": route.voice or tts.voice, "model": route.model or tts.model})
            for route in self.routes
        )
        return self.model_copy(update={"tts": tts, "ears": ears, "routes": routes})

    def _resolved_ears(self, tts_url: str, tts_key: SecretStr | None, dashscope_key: str) -> EarsSection:
        """Fill in where callers are understood, and with which key."""
        own = embedded_url(self.tts_server.listen)
        named = {"": tts_url, "embedded": own, "cloud": endpoint(self.tts.region, self.tts.workspace)}
        url = fill_workspace(named.get(self.ears.url, self.ears.url), self.tts.workspace)
        key = self.ears.api_key
        if url == own:
            key = next(iter(self.tts_server.api_keys), None)
        elif key is None and url == tts_url:
            key = tts_key
        elif key is None and is_cloud(url):
            # Of whatever speaks, the embedded service included: a key of the cloud is for the cloud.
            key = self.tts.api_key or (SecretStr(dashscope_key) if dashscope_key else None)
        return self.ears.model_copy(update={"url": url, "api_key": key})
