"""The command line: `cosybridge serve | demo | call | say | tts | config | doctor`.

Whatever goes wrong on purpose is one line on standard error: exit code 2 for a wrong command or setting, 1
for the rest. A traceback means a bug of ours.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bridge.app.config import Loaded, load_traced
from bridge.app.lines import one_line
from bridge.app.log import configure as configure_log
from bridge.errors import BridgeError, ConfigError

__all__ = ["app", "run"]

_USAGE = 2
_FAILED = 1
_INTERRUPTED = 130

_LOCAL_VOICE = ("tts.url=embedded", "tts.api_key=")
_LAN = ("http.listen=0.0.0.0:8443", "http.tls_cert=self")
_FRESH_PORTS = ("sip.listen=0.0.0.0:0", "http.listen=127.0.0.1:0", "tts_server.listen=127.0.0.1:0")

# Typer carries its own copy of click under a private name; its public BadParameter leads to the root.
_UsageProblem: type[Exception] = next(
    ancestor for ancestor in typer.BadParameter.__mro__ if ancestor.__name__ == "ClickException"
)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Settings file; without it ./bridge.toml is read if it is there.",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Change one setting, e.g. sip.listen=127.0.0.1:15060; repeatable.",
    ),
]

app = typer.Typer(
    name="cosybridge",
    help="Connect CosyVoice speech to live phone calls, and let the caller interrupt.\n\n"
    "Start with: cosybridge serve. Then call sip:anything@THIS-MACHINE:5060 from any SIP phone.\n\n"
    "Settings come from built-in defaults, a TOML file, the environment (COSYBRIDGE_SIP__LISTEN=…) and --set,"
    " each over the last.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog="Example: cosybridge serve --config my.toml --set sip.listen=127.0.0.1:15060")
def serve(
    config: ConfigFile = None,
    sets: Sets = None,
    lan: Annotated[
        bool,
        typer.Option(
            "--lan",
            help="Open the page to this network by https, with a certificate of our making: telephones and"
            " tablets may then call from their browsers. Port 8443.",
        ),
    ] = False,
) -> None:
    """Answer calls until told to stop.

    Brings up the phone line, the embedded voice unless tts.url names another, and the page with API and
    metrics; calls itself once; then prints how to call it. The first SIGTERM or Ctrl-C lets running calls
    finish, the second ends them.
    """
    settings = _read(config, [*(_LAN if lan else ()), *(sets or ())]).config
    configure_log(settings.log.level, settings.log.format)
    from bridge.app.server import run as run_server

    raise typer.Exit(run_server(settings))


@app.command(epilog="Example: cosybridge demo --out out/demo")
def demo(
    json: Annotated[bool, typer.Option("--json", help="Print the report alone, as JSON.")] = False,
    cloud: Annotated[
        bool,
        typer.Option(
            "--cloud", help="Speak with the cloud's voice, which costs money, not the embedded one."
        ),
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Where recording, transcript and report go.")] = Path(
        "out/demo"
    ),
    config: ConfigFile = None,
    sets: Sets = None,
) -> None:
    """Call a bridge, talk over its voice, and show how fast it yields.

    Starts a bridge of its own on free ports, places a real SIP call with recorded speech, interrupts, listens
    to the next reply and hangs up. Prints the latency of every stage; writes a stereo recording, a transcript
    and an HTML report. Exits with 0 only if the call was good.
    """
    from bridge.app.demo import run as run_demo

    raise typer.Exit(run_demo(json=json, cloud=cloud, out=out, config=config, sets=tuple(sets or ())))


@app.command(epilog="Example: cosybridge call sip:100@127.0.0.1:5070 --agent shop.phone:agent")
def call(
    uri: Annotated[
        str,
        typer.Argument(metavar="SIP-URI|NUMBER", help="Whom to call: sip:100@127.0.0.1:5070, or +493012345."),
    ],
    agent: Annotated[
        str, typer.Option("--agent", "-a", help="Who speaks: default, or package.module:function.")
    ] = "default",
    config: ConfigFile = None,
    sets: Sets = None,
) -> None:
    """Place one call and let an agent speak.

    Only addresses within sip.dial_allow are called, which is this machine alone unless you widen it. A number
    goes out by the first of the [[trunks]] whose dials admit it; at first there are none. Calls leave from
    free ports, so that they do not disturb a bridge that is running; --set sip.listen pins them.
    """
    settings = _read(config, [*_FRESH_PORTS, *(sets or ()), f"routes.0.agent={agent}"]).config
    configure_log(settings.log.level, settings.log.format)
    from bridge.app.server import call as place_call

    raise typer.Exit(place_call(settings, uri))


@app.command(epilog='Example: cosybridge say "Good morning." -o morning.wav --voice longanyang')
def say(  # noqa: PLR0917  typer makes options of arguments
    text: Annotated[str, typer.Argument(help="What to say, plain or as SSML: <speak>…</speak>.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="File to write; .wav, .mp3, .opus, .ogg or .pcm says the format.",
        ),
    ] = Path("say.wav"),
    voice: Annotated[
        str, typer.Option("--voice", "-v", help="Voice, see cosybridge tts --voices; tts.voice without it.")
    ] = "",
    rate: Annotated[
        int, typer.Option("--rate", help="Samples a second: 8000, 16000, 22050, 24000, 44100 or 48000.")
    ] = 24000,
    language: Annotated[
        str, typer.Option("--language", help="Hint such as en; the service decides without it.")
    ] = "",
    instruction: Annotated[
        str, typer.Option("--instruction", help='How to speak, for voices that follow: "Speak slowly."')
    ] = "",
    local: Annotated[
        bool, typer.Option("--local", help="Use the voice of this machine, whatever keys are set.")
    ] = False,
    config: ConfigFile = None,
    sets: Sets = None,
) -> None:
    """Speak a text into a sound file, with the voice that calls would hear.

    Uses the configured service. Where that is the embedded one and none is running, it is started for as
    long as it takes.
    """
    settings = _read(config, [*(sets or ()), *(_LOCAL_VOICE if local else ())]).config
    configure_log("error", settings.log.format)
    from bridge.app.say import say as speak

    spoken = asyncio.run(
        speak(settings, text, out, voice=voice, rate=rate, language=language, instruction=instruction)
    )
    typer.echo(f"{out}: {spoken}")


@app.command(epilog="Example: cosybridge tts --listen 127.0.0.1:8091")
def tts(
    listen: Annotated[
        str, typer.Option("--listen", "-l", metavar="HOST:PORT", help="Address; port 0 takes any free one.")
    ] = "",
    voices: Annotated[
        bool, typer.Option("--voices", help="List every voice, who speaks for it here, and end.")
    ] = False,
    config: ConfigFile = None,
    sets: Sets = None,
) -> None:
    """Run the embedded CosyVoice service alone.

    It speaks the cloud's WebSocket protocol, so the official SDK works against it: give that its address as
    base_websocket_api_url. Prints one line with the address once it is ready.
    """
    if voices:
        from bridge.ttsserver.casting import table

        for line in table():
            typer.echo(line)
        return
    own = (f"tts_server.listen={listen}",) if listen else ()
    settings = _read(config, [*(sets or ()), *own]).config
    configure_log(settings.log.level, settings.log.format)
    from bridge.app.assembly import voice_settings
    from bridge.app.settings import embedded_url
    from bridge.ttsserver.server import serve as serve_voice

    asyncio.run(
        serve_voice(
            voice_settings(settings),
            ready=lambda address: typer.echo(f"listening on {embedded_url(address)}"),
        )
    )


@app.command("config", epilog="Example: COSYBRIDGE_SIP__ANSWER_AFTER_MS=2000 cosybridge config")
def show_config(config: ConfigFile = None, sets: Sets = None) -> None:
    """Print every setting that holds, and where it was set.

    Checks everything on the way, so it also tells whether a file is right. Secrets are not shown.
    """
    from bridge.app.show import lines

    for line in lines(_read(config, sets)):
        typer.echo(line)


@app.command(epilog="Example: cosybridge doctor --set sip.listen=0.0.0.0:5080")
def doctor(config: ConfigFile = None, sets: Sets = None) -> None:
    """Check that this machine can carry calls, and print the line that mends what it lacks.

    Asks for Python, packages, free ports, open files, realtime scheduling, test peers and the voice. Changes
    nothing. Exits with 1 if a bridge could not start.
    """
    from bridge.app.doctor import Grade, examine

    colours = {Grade.OK: typer.colors.GREEN, Grade.WARN: typer.colors.YELLOW, Grade.FAIL: typer.colors.RED}
    failed = False
    for check in examine(_read(config, sets).config):
        typer.echo(f"{typer.style(f'{check.grade.value:<5}', fg=colours[check.grade])} {check.text}")
        if check.fix:
            typer.echo(f"      → {check.fix}")
        failed = failed or check.grade is Grade.FAIL
    raise typer.Exit(_FAILED if failed else 0)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed, bugs are raised."""
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="cosybridge", standalone_mode=False)
    except BridgeError as error:
        return _complain(str(error), _USAGE if isinstance(error, ConfigError) else _FAILED)
    except _UsageProblem as error:
        return _complain(f"{_usage_sentence(error)} (cosybridge --help shows how)", _USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except ExceptionGroup as group:
        # Parts that start side by side fail side by side; the first is enough to know.
        foreseen, bugs = group.split(BridgeError)
        if foreseen is None or bugs is not None:
            raise
        return _complain(str(_first(foreseen)), _FAILED)
    return code if isinstance(code, int) else 0


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _read(config: Path | None, sets: Sequence[str] | None) -> Loaded:
    return load_traced(config, sets=tuple(sets or ()))


def _usage_sentence(error: Exception) -> str:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return message.strip().rstrip(".")


def _complain(message: str, code: int) -> int:
    typer.echo(f"cosybridge: {one_line(message.strip())}", err=True)
    return code
