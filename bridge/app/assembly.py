"""What each part of the bridge is told, out of the settings."""

import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from bridge.aio.certificates import Certificate, self_made, server_context, show, trust
from bridge.aio.cosyvoice_pool import TtsSettings
from bridge.aio.http import HttpSettings
from bridge.aio.names import Found, Names
from bridge.aio.sip import SipSettings
from bridge.aio.sip_route import family_of
from bridge.app.api.desk import ApiSettings
from bridge.app.config import Config
from bridge.app.ears import is_embedded
from bridge.app.http_settings import SELF_MADE, HttpSection
from bridge.app.place import own_names, route_address, state_folder
from bridge.app.settings import SipSection
from bridge.app.trunk_settings import TrunkSection
from bridge.app.webrtc import BrowserSettings, IceServer
from bridge.call.agent import Agent
from bridge.call.archive_sqlite import SqliteArchive
from bridge.call.retention import Retention
from bridge.call.routes import Route
from bridge.call.settings import CallSettings
from bridge.clock import SystemClock, unix_offset_ns
from bridge.cosyvoice.client_patience import Deadlines
from bridge.cosyvoice.endpoints import WORKSPACE_HEADER, is_cloud
from bridge.dice import SystemDice
from bridge.engine.supervisor import MediaSettings
from bridge.hosts import is_loopback, is_v6
from bridge.plane.spec import SENSITIVITIES, PlaneSettings
from bridge.ports import Clock, Voice
from bridge.sip.digest import Credentials
from bridge.sip.locating import Wanted
from bridge.sip.numbers import NumberForm, NumberPlan
from bridge.sip.registration import Account
from bridge.sip.session_timer import SessionTimerSettings
from bridge.sip.trunks import Trunk
from bridge.speech.budget import Budget
from bridge.ttsserver.server import TtsServerSettings

__all__ = [
    "accounts",
    "api_settings",
    "archive",
    "browser_ip",
    "browser_settings",
    "call_settings",
    "http_settings",
    "locator",
    "media_settings",
    "route_table",
    "sip_settings",
    "trunks",
    "tts_settings",
    "voice_settings",
]


def route_table(config: Config, agent: Agent | None) -> list[Route]:
    """Routes in order; `agent`, where given, answers everything with the last route's voice.

    Raises:
        ConfigError: If an agent cannot be loaded: better at the start than at the first call.
    """
    routes = [
        Route(
            to=row.to,
            agent=row.agent,
            voice=Voice(model=row.model, name=row.voice, language=row.language),
            greeting=row.greeting,
            headers=row.headers,
            early_media=row.early_media,
        )
        for row in config.routes
    ]
    if agent is not None:
        return [replace(routes[-1], to="*", agent=agent)]
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # agents stand beside the settings, as with python -m
    for route in routes:
        _ = route.run
    return routes


def call_settings(config: Config) -> CallSettings:
    return CallSettings(
        inactivity_s=config.media.inactivity_s,
        max_duration_s=config.call.max_duration_s,
        ring_timeout_s=config.sip.ring_timeout_s,
        advertised_ip=config.media.advertised_ip or config.sip.advertised_ip,
        advertised_ip6=config.media.advertised_ip6 or config.sip.advertised_ip6,
        srtp=config.media.srtp,
        srtp_keys=config.media.srtp_keys,
        ice=config.media.ice,
        recordings=Path(config.recording.folder) if config.recording.enabled else None,
        keeps_text=config.recording.transcripts,
        keeps_numbers=config.records.numbers,
        prompts=Path(config.prompts.folder),
        codecs=config.media.codecs,
        passes_opus=config.media.opus_pass_through,
        comfort_noise=config.media.comfort_noise,
        budget=Budget.from_ms(config.bargein.budget_ms.model_dump()),
    )


def archive(config: Config, clock: Clock) -> SqliteArchive | None:
    """Where records of calls go; None if they are not to outlive the process."""
    section = config.records
    if not section.enabled:
        return None
    return SqliteArchive(
        Path(section.path) if section.path else state_folder() / "calls.sqlite",
        recordings=Path(config.recording.folder) if config.recording.enabled else None,
        retention=Retention(days=section.keep_days, bytes=int(section.keep_gb * 1e9)),
        clock=clock,
        offset_ns=unix_offset_ns,
    )


def browser_settings(config: Config) -> BrowserSettings:
    section = config.webrtc
    password = _plain(section.turn_password)
    servers = [
        IceServer((url,), section.turn_user, password) if url.startswith("turn") else IceServer((url,))
        for url in section.ice_servers
    ]
    return BrowserSettings(
        to=section.to,
        origins=section.origins,
        ice_servers=tuple(servers),
        max_calls=section.max_calls,
        max_calls_per_client=section.max_calls_per_client,
        offers_per_s=section.offers_per_s,
        join_token_s=section.join_token_s,
        inactivity_s=section.inactivity_s,
    )


def browser_ip(config: Config, peer_ip: str) -> str:
    """Our address for the sound of a browser's call, wherever telephones reach us.

    Browsers do not talk to the loopback by themselves.
    """
    bound = config.media.bind_ip6 if is_v6(peer_ip) else config.media.bind_ip
    if bound not in ("0.0.0.0", "::"):
        return bound
    return route_address(in_ipv6=is_v6(peer_ip)) if is_loopback(peer_ip) else route_address(peer_ip)


def sip_settings(config: Config) -> SipSettings:
    section = config.sip
    return SipSettings(
        listen=section.listen[0],
        listen_also=next(iter(section.listen[1:]), None),
        tcp=section.tcp,
        tls_listen=section.tls_listen,
        tls=_sip_tls(section),
        tls_client=_sip_authorities(section),
        ws_listen=section.ws_listen,
        ws_origins=section.ws_origins,
        allow=section.allow + tuple(network for trunk in config.trunks for network in trunk.allow),
        advertised_ip=section.advertised_ip,
        advertised_ip6=section.advertised_ip6,
        dns_servers=section.dns_servers,
        failover_after_ms=section.failover_after_ms,
        max_udp_bytes=section.max_udp_bytes,
        answer_after_ms=section.answer_after_ms,
        user_agent=section.user_agent,
        session_timer=SessionTimerSettings(section.session_expires_s, section.session_min_s),
        max_calls_per_source=section.max_calls,
        max_requests_per_s=section.max_requests_per_s,
        max_calls=config.media.capacity,
        realm=section.realm,
        digests=section.digests,
        accounts=tuple(Credentials(each.user, _plain(each.password)) for each in config.accounts),
    )


def locator(config: Config) -> Callable[[Wanted], Awaitable[Found]]:
    """What finds where SIP URIs lead, before there is an endpoint."""
    names = Names(clock=SystemClock(), dice=SystemDice(), servers=config.sip.dns_servers)
    families = frozenset(family_of(ours) for ours, _ in config.sip.listen)
    return partial(names.locate, families=families)


def trunks(config: Config) -> tuple[Trunk, ...]:
    """The trunks, with what their settings leave to others filled in."""
    return tuple(
        Trunk(
            name=section.name,
            server=section.server,
            domain=section.domain or section.server[0],
            user=section.user,
            credentials=_credentials(section),
            from_user=section.from_user or section.user or "cosybridge",
            from_domain=section.from_domain,
            allow=section.allow,
            headers=section.headers,
            dials=section.dials,
            plan=NumberPlan(section.country_code, section.national_prefix, section.international_prefix),
            form=NumberForm(section.numbers),
            max_calls=section.max_calls,
            max_calls_per_s=section.max_calls_per_s,
            transport=section.transport.upper(),
        )
        for section in config.trunks
    )


def accounts(config: Config) -> tuple[Account, ...]:
    """Registrations to keep, one for each trunk that wants one."""
    return tuple(
        Account(
            name=section.name,
            user=section.user,
            domain=section.domain or section.server[0],
            server=section.server,
            credentials=_credentials(section) or Credentials(section.user, ""),
            expires_s=section.expires_s,
            learns_address=section.nat,
            transport=section.transport.upper(),
        )
        for section in config.trunks
        if section.registers
    )


def _credentials(section: TrunkSection) -> Credentials | None:
    if section.password is None:
        return None
    return Credentials(section.auth_user or section.user, _plain(section.password))


def http_settings(config: Config) -> HttpSettings:
    """Where the page is served.

    Raises:
        SetupError: If its certificate or key cannot be read or made.
    """
    section = config.http
    return HttpSettings(
        listen=section.listen,
        token=_plain(section.token),
        read_token=_plain(section.read_token),
        read_opens=section.read_token_opens,
        hosts=section.hosts,
        tls=_tls(section),
    )


def _sip_tls(section: SipSection) -> ssl.SSLContext | None:
    if not section.tls_cert:
        return None
    context = server_context(_certificate(section.tls_cert, section.tls_key), setting="sip.tls_cert")
    if section.tls_client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        trust(context, Path(section.tls_client_ca), setting="sip.tls_client_ca")
    return context


def _sip_authorities(section: SipSection) -> ssl.SSLContext | None:
    """What peers that we call are checked with; our own certificate is shown to those that ask."""
    if not (section.tls_ca or section.tls_cert):
        return None
    context = ssl.create_default_context()
    if section.tls_ca:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust(context, Path(section.tls_ca), setting="sip.tls_ca")
    if section.tls_cert:
        show(context, _certificate(section.tls_cert, section.tls_key), setting="sip.tls_cert")
    return context


def _certificate(certificate: str, key: str, names: tuple[str, ...] = ()) -> Certificate:
    if certificate == SELF_MADE:
        return self_made(state_folder(), [*own_names(), *names])
    return Certificate(Path(certificate), Path(key))


def _tls(section: HttpSection) -> ssl.SSLContext | None:
    if not section.tls_cert:
        return None
    # The page's own link names this address, be it a temporary one.
    linked = (route_address(in_ipv6=True),) if is_v6(section.listen[0]) else ()
    given = _certificate(section.tls_cert, section.tls_key, (*section.hosts, *linked))
    return server_context(given, setting="http.tls_cert")


def api_settings(config: Config) -> ApiSettings:
    section = config.api
    return ApiSettings(
        orders_per_s=section.orders_per_s,
        event_clients=section.event_clients,
        event_backlog=section.event_backlog,
        play_hosts=section.play_hosts,
        prompts=Path(config.prompts.folder),
        recordings=Path(config.recording.folder),
        budget_ms=config.bargein.budget_ms.model_dump(),
    )


def media_settings(config: Config) -> MediaSettings:
    section = config.media
    return MediaSettings(
        ports=section.ports,
        bind_ip=section.bind_ip,
        bind_ip6=section.bind_ip6,
        capacity=section.capacity,
        ports_shared=section.ports_shared,
        wide_capacity=section.wide_capacity,
        plain_sockets=section.plain_sockets,
        realtime=section.realtime,
        plane=PlaneSettings(
            inband_digits=section.inband_digits,
            sensitivity=SENSITIVITIES.index(config.bargein.sensitivity),
        ),
        verdicts=config.bargein.neural,
        standby=section.standby,
        processes=section.processes,
    )


def voice_settings(config: Config) -> TtsServerSettings:
    section = config.tts_server
    return TtsServerSettings(
        listen=section.listen,
        api_keys=tuple(_plain(key) for key in section.api_keys),
        faults=section.faults,
        threads=section.threads,
        preload_chinese=section.preload_chinese,
        max_connections=section.max_connections,
        sounds=section.sounds,
        upstream=section.upstream,
        preload_ears=config.ears.language if config.ears.enabled and is_embedded(config) else None,
    )


def tts_settings(config: Config, url: str, key: SecretStr | None) -> TtsSettings:
    section = config.tts
    deadlines = Deadlines(
        open_s=section.open_s,
        started_s=section.started_s,
        first_sound_s=section.first_sound_s,
        sound_s=section.sound_s,
        task_s=section.task_s or None,
    )
    return TtsSettings(
        url=url,
        api_key=_plain(key),
        spares=section.spares,
        max_connections=section.max_connections,
        # The workspace is the cloud's business alone, as the key is.
        headers={WORKSPACE_HEADER: section.workspace} if section.workspace and is_cloud(url) else {},
        open_timeout_s=deadlines.open_s,
        patience=deadlines.patience(),
    )


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
