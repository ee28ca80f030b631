"""The running server, confined: what the kernel says of it, what still works, what is said where
not all of it is to be had. What exactly is refused is tests/unit/os/sandbox_test.c's subject."""
import ctypes
import os
import pathlib
import re
import signal
import struct
import subprocess

import pytest

from harness import Server, binary, programs, wait_until
from harness.programs import environment
from harness.setup import connect_to, new_organization, wait_sync

instrumented = pytest.mark.skipif(programs.SANITIZER is not None or "coverage" in programs.BUILD.name,
                                  reason="a build that writes reports stays outside")


def status_of(pid):
    """/proc/PID/status of every thread, as dicts."""
    threads = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        text = (task / "status").read_text()
        threads.append(dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line))
    return threads


def without_landlock():
    """In the child, before it becomes the server: landlock_create_ruleset answers ENOSYS, as from
    an older kernel."""
    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]

    load_number, if_equal, end = 0x20, 0x15, 0x06
    allow, no_such_call = 0x7FFF0000, 0x00050000 | 38
    code = b"".join(struct.pack("=HBBI", *row) for row in (
        (load_number, 0, 0, 0), (if_equal, 0, 1, 444), (end, 0, 0, no_such_call), (end, 0, 0, allow)))
    libc = ctypes.CDLL(None, use_errno=True)
    program = Filter(len(code) // 8, code)
    no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
    assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    assert libc.prctl(set_seccomp, mode_filter, ctypes.byref(program), 0, 0) == 0


def first_line(server, **want):
    return wait_until(lambda: server.log_lines(**want), f"{want} in the log")[0]


@instrumented
def test_every_thread_is_confined_and_leaves_no_core(server):
    threads = status_of(server.pid)
    assert len(threads) > 5
    for thread in threads:
        assert thread["NoNewPrivs"] == "1" and thread["Seccomp"] == "2", thread["Name"]
    limits = pathlib.Path(f"/proc/{server.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)
    line = first_line(server, msg="sandbox")
    assert line["system_calls"] == "restricted" and line["mode"] == "auto"


@instrumented
def test_a_crash_leaves_no_core_file(server, place):
    server.signal(signal.SIGSEGV)
    assert server.wait(20) == -signal.SIGSEGV
    assert not [path for path in place.rglob("core*") if path.is_file()]


@instrumented
def test_the_doctor_and_the_operator_see_it(server):
    state = server.cli("doctor", json_output=True, PENSTOCK_LISTEN="127.0.0.1:0")
    check = next(c for c in state["checks"] if c["name"] == "sandbox")
    assert check["verdict"] == "ok" and "Landlock" in check["detail"]
    assert "sandbox" in server.cli("doctor", PENSTOCK_LISTEN="127.0.0.1:0").stdout


def test_it_is_the_operators_to_see(server):
    key = new_organization(server)
    server.api(key).fails("GET", "/v1/server", 403, "PERMISSION_DENIED")


def test_it_can_be_switched_off_and_the_doctor_says_so(programs, place):
    server = programs(Server(place, sandbox="off"))
    line = first_line(server, msg="sandbox")
    assert line["system_calls"] == "all" and line["landlock"] == 0 and line["level"] == "warn"
    state = server.cli("doctor", json_output=True, PENSTOCK_LISTEN="127.0.0.1:0")
    check = next(c for c in state["checks"] if c["name"] == "sandbox")
    assert check["verdict"] == "warning" and check["fix"]


@instrumented
@pytest.mark.parametrize("mode", ["auto", "require"])
def test_on_a_kernel_without_landlock(place, mode):
    server = Server(place, sandbox=mode)
    with open(server.log_path, "wb") as log:
        child = subprocess.Popen(server.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                 env=server.env, cwd=place, preexec_fn=without_landlock)
    line = first_line(server, msg="sandbox")
    assert line["landlock"] == 0 and line["system_calls"] == "restricted" and "Landlock" in line["missing"]
    if mode == "auto":
        first_line(server, msg="serving")
        child.terminate()
        assert child.wait(20) == 0
    else:
        assert child.wait(20) == 75
        assert "sandbox: require" in server.log() and "Landlock" in server.log()


@instrumented
def test_backups_go_where_the_server_may_write_and_where_the_command_may(programs, place, sim):
    allowed, elsewhere = place / "backups", place / "elsewhere"
    allowed.mkdir()
    elsewhere.mkdir()
    server = programs(Server(place, backup_dirs=allowed))
    api = server.api(new_organization(server))
    wait_sync(api, connect_to(api, sim))
    # The command takes a copy anywhere; only one file of it is left.
    for directory in (allowed, elsewhere):
        said = server.cli("backup", directory / "copy.db", json_output=True)
        assert said["connections"] == 1
        assert [path.name for path in directory.iterdir()] == ["copy.db"]
    assert not list(server.data.glob(".staged-*"))
    # The server itself does not.
    def ask(path):
        done = subprocess.run(["curl", "-sS", "--unix-socket", server.data / "penstock.sock", "-w", "%{http_code}",
                               "-H", "Content-Type: application/json", "-d", f'{{"path":"{path}"}}',
                               "http://localhost/v1/backup"], capture_output=True, text=True, check=True)
        return int(done.stdout[-3:]), done.stdout
    assert ask(allowed / "second.db")[0] == 201
    assert ask(server.data / "third.db")[0] == 201
    status, text = ask(elsewhere / "fourth.db")
    assert status == 403 and "backup_dirs" in text
    assert not (elsewhere / "fourth.db").exists()


def test_what_a_broken_off_backup_left_is_removed_by_the_next_start(place):
    server = Server(place).start()
    server.stop()
    (server.data / ".staged-0123456789abcdef.db.part").write_bytes(b"x")
    (server.data / "backup-of-mine.db").write_bytes(b"x")
    server.start()
    server.stop()
    assert not list(server.data.glob(".staged-*"))
    assert (server.data / "backup-of-mine.db").exists()


@instrumented
def test_a_reload_reads_a_configuration_that_was_replaced(programs, place):
    config = place / "config" / "penstock.yaml"
    config.parent.mkdir()
    config.write_text("page_rows: 100\n")
    server = programs(Server(place, env={"PENSTOCK_CONFIG": config}))
    fresh = place / "config" / "new.yaml"
    fresh.write_text("page_rows: 200\n")
    os.rename(fresh, config)  # as editors and configuration management do
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.log_lines(msg="option changed", option="page_rows"), "the reload")


def test_help_names_the_option(place):
    text = subprocess.run([binary("penstock"), "serve", "--help"], capture_output=True, text=True, check=True,
                          env=environment(place)).stdout
    assert "--sandbox" in text and "--backup-dirs" in text
