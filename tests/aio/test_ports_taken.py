import errno
import os
import pwd
import socket
from pathlib import Path

import pytest

from bridge.aio.ports_taken import Holder, Wanted, port_taken, refuse_taken, who_holds
from bridge.errors import SetupError

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(port: int, state: str, inode: int, uid: int = 4242) -> str:
    queues = "00000000:00000000 00:00000000 00000000"
    return f"   1: 0100007F:{port:04X} 00000000:0000 {state} {queues} {uid} 0 {inode} 1\n"


def machine(
    proc: Path, *, tcp: str = "", udp6: str = "", holders: dict[int, tuple[int, str]] | None = None
) -> Path:
    """Build a /proc with these socket tables, and processes that hold an inode and have a command line."""
    (proc / "net").mkdir()
    (proc / "net" / "tcp").write_text(HEAD + tcp)
    (proc / "net" / "udp6").write_text(HEAD + udp6)
    for pid, (inode, command) in (holders or {}).items():
        (proc / str(pid) / "fd").mkdir(parents=True)
        (proc / str(pid) / "fd" / "0").symlink_to("/dev/null")
        (proc / str(pid) / "fd" / "7").symlink_to(f"socket:[{inode}]")
        (proc / str(pid) / "cmdline").write_text(command.replace(" ", "\0") + "\0")
    return proc


def test_our_own_socket_is_found_on_this_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.bind(("127.0.0.1", 0))

        holder = who_holds(mine.getsockname()[1], "udp")

    assert holder is not None
    assert holder.pid == os.getpid()
    assert holder.user == pwd.getpwuid(os.getuid()).pw_name


def test_a_free_port_is_held_by_nobody(tmp_path: Path) -> None:
    assert who_holds(8080, "tcp", proc=machine(tmp_path, tcp=row(8081, "0A", 5))) is None


def test_a_connection_through_the_port_is_no_holder_of_it(tmp_path: Path) -> None:
    assert who_holds(8080, "tcp", proc=machine(tmp_path, tcp=row(8080, "01", 5))) is None


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/sbin/nginx -g key=secret", "nginx"),
        ("/venv/bin/python3 -m bridge serve --set tts.api_key=secret", "python3 -m bridge"),
        ("python /opt/app/server.py --token secret", "python server.py"),
        ("python3 -X dev", "python3"),
    ],
)
def test_the_holder_is_named_without_its_arguments(tmp_path: Path, command: str, name: str) -> None:
    proc = machine(tmp_path, tcp=row(8080, "0A", 5), holders={1: (4, "init"), 77: (5, command)})

    assert str(who_holds(8080, "tcp", proc=proc)) == f"{name} (process 77 of user 4242)"


def test_a_udp_port_counts_in_any_state_and_over_ipv6(tmp_path: Path) -> None:
    proc = machine(tmp_path, udp6=row(5060, "07", 9), holders={8: (9, "asterisk")})

    assert who_holds(5060, "udp", proc=proc) == Holder(8, "asterisk", "4242")


def test_another_users_process_is_told_by_its_user(tmp_path: Path) -> None:
    proc = machine(tmp_path, tcp=row(8080, "0A", 5, uid=0), holders={3: (4, "other")})

    assert str(who_holds(8080, "tcp", proc=proc)) == "a process of user root"


def test_where_there_is_no_proc_nobody_is_accused(tmp_path: Path) -> None:
    assert who_holds(8080, "tcp", proc=tmp_path / "nothing") is None


def test_a_process_that_leaves_while_we_look_is_passed_over(tmp_path: Path) -> None:
    proc = machine(tmp_path, tcp=row(8080, "0A", 5), holders={3: (5, "gone")})
    (proc / "3" / "cmdline").unlink()

    assert str(who_holds(8080, "tcp", proc=proc)) == "a process (process 3 of user 4242)"


def test_the_refusal_says_what_to_set_instead() -> None:
    refused = port_taken(
        ("127.0.0.1", 5060), "udp", setting="sip.listen", cause=OSError(errno.EADDRINUSE, "in use")
    )

    assert "choose another: --set sip.listen=127.0.0.1:15060" in str(refused)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EADDRNOTAVAIL, "sip.listen 192.0.2.1:60000 (udp) is no address of this machine"),
        (errno.EACCES, "sip.listen 192.0.2.1:60000 (udp) needs privileges; ports from 1024 on do not"),
        (errno.EMFILE, "sip.listen 192.0.2.1:60000 (udp) cannot be opened: no more files"),
    ],
)
def test_every_refusal_is_one_sentence(number: int, sentence: str) -> None:
    cause = OSError(number, "no more files")

    assert str(port_taken(("192.0.2.1", 60000), "udp", setting="sip.listen", cause=cause)) == sentence


def test_a_child_of_a_bridge_answers_for_its_parent(tmp_path: Path) -> None:
    proc = machine(
        tmp_path,
        tcp=row(8090, "0A", 5),
        holders={70: (5, "python -m bridge.app.voice_process"), 60: (6, "cosybridge serve")},
    )
    (proc / "70" / "stat").write_text("70 (py (thon)) S 60 70 70 0")

    holder = who_holds(8090, "tcp", proc=proc)

    assert holder is not None
    assert (holder.pid, holder.name) == (60, "cosybridge")


def test_everything_that_is_in_the_way_is_named_at_once() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as page,
    ):
        for taken in (phone, page):
            taken.bind(("127.0.0.1", 0))
        page.listen()
        wanted = [
            Wanted("sip.listen", phone.getsockname(), "udp"),
            Wanted("http.listen", page.getsockname(), "tcp"),
            Wanted("tts_server.listen", ("127.0.0.1", 0), "tcp"),
        ]

        with pytest.raises(
            SetupError, match=r"sip\.listen .*, http\.listen .* are taken by .*; stop that"
        ) as caught:
            refuse_taken(wanted)

    assert f"process {os.getpid()}" in str(caught.value)
    assert "tts_server" not in str(caught.value)
    refuse_taken(wanted)


def test_a_setting_whose_udp_and_tcp_are_taken_is_named_once() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
    ):
        phone.bind(("127.0.0.1", 0))
        listen = phone.getsockname()
        stream.bind(listen)
        stream.listen()

        with pytest.raises(SetupError) as caught:
            refuse_taken([Wanted("sip.listen", listen, "udp"), Wanted("sip.listen", listen, "tcp")])

    assert str(caught.value).count(f"sip.listen {listen[0]}:{listen[1]}") == 1
    assert str(caught.value).count("--set") == 1


def test_one_port_that_is_in_the_way_is_told_as_ever() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))

        with pytest.raises(SetupError, match=r"is taken by .*--set sip\.listen="):
            refuse_taken([Wanted("sip.listen", phone.getsockname(), "udp")])
