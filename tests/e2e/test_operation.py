"""The server as a process: first start, configuration, signals, keys, backup, doctor, help."""
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess

import pytest

from harness import Server, binary, wait_until
from harness.programs import environment, run_cli, slowness
from harness.setup import connect_to, new_organization, synced, wait_sync


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def serve_fails(place, *arguments, **env):
    """`penstock serve` that must not start; returns (exit status, what it said)."""
    done = subprocess.run([binary("penstock"), "serve", "--listen", "127.0.0.1:0", *map(str, arguments)],
                          capture_output=True, text=True, env=environment(place, **env), cwd=place,
                          timeout=60, check=False)
    assert done.returncode != 0, done.stderr
    return done.returncode, done.stderr


def stopped(server):
    """A store that was opened once, and its server stopped."""
    server.start()
    server.stop()
    return server


# ---- first start ----

def test_the_first_start_makes_everything_private(server):
    assert mode(server.data) == 0o700
    for name in ("penstock.db", "root.key", "penstock.sock"):
        assert mode(server.data / name) == 0o600, name


def test_a_data_directory_that_others_may_read_is_refused(place):
    data = place / "data"
    data.mkdir(mode=0o755)
    status, text = serve_fails(place, "--data-dir", data)
    assert status == 77 and "chmod 700" in text


def test_a_second_server_on_the_same_store_is_refused(server, place):
    status, text = serve_fails(place, "--data-dir", server.data)
    assert status == 75 and str(server.pid) in text


def test_an_address_in_use_is_named(server, place):
    status, text = serve_fails(place, "--data-dir", place / "other", "--listen", f"127.0.0.1:{server.port}")
    assert status == 65 and f"127.0.0.1:{server.port}" in text


# ---- the root key ----

def test_a_wrong_root_key_is_recognised(place):
    server = stopped(Server(place))
    (server.data / "root.key").unlink()
    (server.data / "root.key").write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
    os.chmod(server.data / "root.key", 0o600)
    status, text = serve_fails(place, "--data-dir", server.data)
    assert status == 64 and "wrong root key" in text


def test_a_missing_root_key_is_never_replaced(place):
    server = stopped(Server(place))
    (server.data / "root.key").unlink()
    status, text = serve_fails(place, "--data-dir", server.data)
    assert status == 66 and "root.key" in text
    assert not (server.data / "root.key").exists()


def test_a_root_key_that_others_may_read_is_refused(place):
    server = stopped(Server(place))
    os.chmod(server.data / "root.key", 0o640)
    status, text = serve_fails(place, "--data-dir", server.data)
    assert status == 77 and "chmod 600" in text


def test_the_root_key_may_come_from_the_environment(programs, place):
    key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    server = programs(Server(place, env={"PENSTOCK_ROOT_KEY": key}))
    assert not (server.data / "root.key").exists()
    server.stop()
    assert key not in server.log()
    status, _ = serve_fails(place, "--data-dir", server.data, "--root-key", key)
    assert status == 64


def test_the_root_key_is_rotated(place):
    server = stopped(Server(place))
    old = (server.data / "root.key").read_text()
    said = server.cli("keys", "rotate-root", json_output=True)
    assert re.fullmatch("[0-9a-f]{32}", said["key_id"])
    assert (server.data / "root.key").read_text() != old
    assert (server.data / "root.key.old").read_text() == old
    assert said["old_key_file"] == str(server.data / "root.key.old") and said["resumed"] is False
    assert mode(server.data / "root.key") == 0o600
    stopped(server)


def test_every_rotation_keeps_the_old_key_and_says_where(place):
    server = stopped(Server(place))
    keys = [(server.data / "root.key").read_text()]
    for name in ("root.key.old", "root.key.old.2", "root.key.old.3"):
        assert f"'{server.data / name}'" in server.cli("keys", "rotate-root").stdout
        keys.append((server.data / "root.key").read_text())
    kept = [(server.data / name).read_text() for name in ("root.key.old", "root.key.old.2", "root.key.old.3")]
    assert kept == keys[:3] and len(set(keys)) == 4
    stopped(server)


@pytest.mark.parametrize("by", ["the next start", "the next rotation"])
def test_a_rotation_broken_off_at_its_end_is_finished(place, by):
    server = stopped(Server(place))
    server.cli("keys", "rotate-root")
    new = (server.data / "root.key").read_text()
    old = (server.data / "root.key.old").read_text()
    os.rename(server.data / "root.key", server.data / "root.key.new")
    os.rename(server.data / "root.key.old", server.data / "root.key")
    if by == "the next rotation":
        said = server.cli("keys", "rotate-root", json_output=True)
        assert said["resumed"] is True and said["old_key_file"] == str(server.data / "root.key.old")
    stopped(server)
    assert (server.data / "root.key").read_text() == new
    assert (server.data / "root.key.old").read_text() == old
    assert not (server.data / "root.key.new").exists()


def test_the_root_key_is_not_rotated_under_a_running_server(server):
    done = server.cli("keys", "rotate-root", check=False)
    assert done.returncode == 75


# ---- configuration ----

def test_flags_beat_the_environment_which_beats_the_file(programs, place):
    config = place / "penstock.yaml"
    config.write_text("log_level: error\npage_rows: 100\nlisten: 127.0.0.1:1\n")
    server = programs(Server(place, env={"PENSTOCK_CONFIG": config, "PENSTOCK_LOG_LEVEL": "info"}))
    assert server.log_lines(msg="serving")


@pytest.mark.parametrize("text, words", [
    ("page_rows: many\n", ["page_rows", "many", "10 to 100000"]),
    ("page_row: 5\n", ["page_row", "did you mean page_rows"]),
    ("listen: [a\n", ["line"]),
    ("log_level: loud\n", ["debug, info, warn, error"]),
    ("system_ranges: [10.0.0.0/99]\n", ["system_ranges", "10.0.0.0/99"]),
])
def test_a_wrong_configuration_is_explained(place, text, words):
    config = place / "wrong.yaml"
    config.write_text(text)
    status, said = serve_fails(place, "--config", config, "--data-dir", place / "data")
    assert status == 64
    for word in words:
        assert word in said


def test_a_configuration_file_that_is_not_there_is_an_error(place):
    status, said = serve_fails(place, "--config", place / "none.yaml", "--data-dir", place / "data")
    assert status == 66 and "none.yaml" in said


def test_a_reload_takes_over_what_may_change(programs, place):
    config = place / "penstock.yaml"
    config.write_text("page_rows: 100\n")
    server = programs(Server(place, env={"PENSTOCK_CONFIG": config}))
    config.write_text("page_rows: 200\nsync_workers: 2\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.log_lines(msg="option changed", option="page_rows"), "the reload")
    assert server.log_lines(msg="option changed, but needs a restart", option="sync_workers")
    config.write_text("page_rows: wrong\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.log_lines(msg="the configuration is not taken over"), "the refusal")
    assert server.is_ready()


# ---- signals and the service manager ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(place, number):
    server = Server(place).start()
    server.signal(number)
    assert server.wait(20) == 0
    assert server.log_lines(msg="stopped")
    assert not (server.data / "penstock.sock").exists()


def test_the_service_manager_is_told(programs, place):
    path = str(place / "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(20)
    server = programs(Server(place, env={"NOTIFY_SOCKET": path}))
    assert listener.recv(1000).startswith(b"READY=1\nSTATUS=")
    server.signal(signal.SIGHUP)
    assert listener.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert listener.recv(1000).startswith(b"READY=1")
    server.stop()
    assert listener.recv(1000) == b"STOPPING=1"
    listener.close()


# ---- retention ----

def test_what_is_past_its_time_and_what_was_purged_leaves_the_store(server, sim):
    key = new_organization(server)
    api = server.api(key)
    kept = connect_to(api, sim, entities=["suppliers"])
    purged = connect_to(api, sim, entities=["items"])
    for connection in (kept, purged):
        assert wait_sync(api, connection)["status"] == "completed"
    newest = api.get(f"/v1/connections/{kept}/sync-status")["last_seq"]
    assert api.call("DELETE", f"/v1/connections/{purged}", params={"purge": "true"}).status_code == 204
    server.stop()
    with sqlite3.connect(server.data / "penstock.db") as store:
        assert store.execute("UPDATE change SET at = at - 31 * 86400 * 1000000").rowcount > newest
    store.close()
    api = server.start().api(key)
    # The first round comes 10 s after the start.
    wait_until(lambda: api.call("GET", f"/v1/connections/{kept}/changes").status_code == 410, "old changes to go",
               20 * slowness(), every=0.5)
    assert api.get(f"/v1/connections/{kept}/changes", params={"after": newest})["data"] == []
    sim.change("change", "suppliers", 1)
    assert synced(api, kept)["counts"]["updated"] == 1
    assert [c["seq"] for c in api.get(f"/v1/connections/{kept}/changes", params={"after": newest})["data"]] == [newest + 1]

    def remains():
        with sqlite3.connect(f"file:{server.data}/penstock.db?mode=ro", uri=True) as store:
            counts = {t: store.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
                      for t in ("connection", "stream", "rec_items", "rec_suppliers")}
        store.close()
        return counts
    wait_until(lambda: remains()["connection"] == 1, "the purge to end", 20 * slowness(), every=0.5)
    left = remains()
    assert left["stream"] == 1 and left["rec_items"] == 0 and left["rec_suppliers"] > 0, left



# ---- backup and restore ----

def test_a_backup_of_a_stopped_server_is_restored(place):
    server = stopped(Server(place))
    backup = place / "copy.db"
    info = server.cli("backup", backup, json_output=True)
    assert info["organizations"] == 0 and info["bytes"] > 0
    assert mode(backup) == 0o600
    done = server.cli("backup", backup, check=False)
    assert done.returncode == 65 and "exists" in done.stderr
    server.cli("restore", backup, "--yes")
    assert (server.data / "penstock.db.before-restore").exists()
    stopped(server)


def test_a_restore_says_which_root_key_the_backup_needs(place):
    server = stopped(Server(place))
    backup = place / "copy.db"
    server.cli("backup", backup)
    assert "root key" not in server.cli("restore", backup, "--yes").stderr
    new = server.cli("keys", "rotate-root", json_output=True)["key_id"]
    said = server.cli("restore", backup, "--yes").stderr
    assert new in said and f"{server.data / 'root.key'}.old" in said
    wanted = re.search("needs root key ([0-9a-f]{32}),", said)[1]
    assert wanted != new
    (server.data / "root.key").unlink()
    said = server.cli("restore", backup, "--yes").stderr
    assert f"needs root key {wanted}, which is not in place" in said
    os.rename(server.data / "root.key.old", server.data / "root.key")
    stopped(server)


def test_a_restore_needs_a_backup_and_no_server(server, place):
    backup = place / "copy.db"
    backup.write_bytes(b"this is no store" * 1000)
    done = server.cli("restore", backup, "--yes", check=False)
    assert done.returncode != 0
    assert server.is_ready()


def test_without_a_terminal_a_restore_asks_for_yes(place):
    server = stopped(Server(place))
    server.cli("backup", place / "copy.db")
    done = subprocess.run([binary("penstock"), "restore", place / "copy.db", "--data-dir", server.data],
                          capture_output=True, text=True, env=environment(place), timeout=60,
                          stdin=subprocess.DEVNULL, start_new_session=True, check=False)
    assert done.returncode == 75 and "--yes" in done.stderr


# ---- doctor ----

# The doctor tries the address; that of the default may be taken on the machine of the tests.
ANY_PORT = {"PENSTOCK_LISTEN": "127.0.0.1:0"}


def verdicts(answer):
    return {check["name"]: check["verdict"] for check in answer["checks"]}


def test_the_doctor_finds_a_sound_store_sound(place):
    server = stopped(Server(place))
    answer = server.cli("doctor", json_output=True, **ANY_PORT)
    found = verdicts(answer)
    assert answer["ok"] is True
    for name in ("data directory", "root key file", "store file", "store", "store integrity", "root key",
                 "store contents"):
        assert found[name] == "ok", answer
    assert found["server"] == "warning"


def test_the_doctor_sees_a_running_server(server):
    found = verdicts(server.cli("doctor", json_output=True, **ANY_PORT))
    assert found["server"] == "ok" and found["listen address"] == "ok" and found["store"] == "ok"


def test_the_doctor_looks_at_every_organization(server, sim, hooks):
    first, second = (server.api(new_organization(server, name)) for name in ("One", "Two"))
    refused = connect_to(first, sim, schedule="manual", credentials={"username": sim.USER, "password": "wrong"})
    wait_sync(second, connect_to(second, sim, schedule="manual"))
    wait_until(lambda: first.get(f"/v1/connections/{refused}")["status"] == "authentication_required", "the refusal",
               30 * slowness())
    second.post("/v1/webhooks", json={"url": hooks.url("/")}, status=201)

    def doctor(*more):
        done = server.cli("doctor", "--json", *more, check=False, **ANY_PORT)
        return done.returncode, verdicts(json.loads(done.stdout))

    for more in ([], ["--reach"]):
        status, found = doctor(*more)
        assert status == 75 and found["connection ERP of One"] == "error", found
        assert found["connection ERP of Two"] == "ok" and found["webhooks of Two"] == "ok"
    status, found = doctor("--organization", "Two")
    assert status == 0 and found["connection ERP"] == "ok" and found["webhooks"] == "ok"
    assert "connection ERP of One" not in found
    # What it cannot look at is not well.
    status, found = doctor("--organization", "Three")
    assert status == 75 and found["connections"] == "error"


def test_the_doctor_says_what_to_do_about_loose_permissions(place):
    server = stopped(Server(place))
    os.chmod(server.data / "root.key", 0o644)
    done = server.cli("doctor", "--json", check=False, **ANY_PORT)
    assert done.returncode == 75
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    check = next(c for c in answer["checks"] if c["name"] == "root key file")
    assert check["verdict"] == "error" and "chmod 600" in check["detail"] and check["fix"]


def test_the_doctor_notices_a_damaged_store(place):
    server = stopped(Server(place))
    with open(server.data / "penstock.db", "r+b") as store:
        store.seek(4096 * 3)
        store.write(b"\xa5" * 4096 * 4)
    done = server.cli("doctor", check=False, **ANY_PORT)
    assert done.returncode == 75
    assert "FAIL" in done.stdout and "restore" in done.stdout


# ---- the command line itself ----

def test_every_command_has_help_with_examples(place):
    overview = run_cli(place, ["--help"]).stdout
    names = re.findall(r"^  ([a-z]+) ", overview, re.M)
    assert {"serve", "connect", "connections", "sync", "status", "records", "changes", "keys", "doctor",
            "backup", "restore"} <= set(names)
    for name in names:
        text = run_cli(place, [name, "--help"]).stdout
        assert "Usage: penstock " + name in text and "Examples:" in text
        for action in re.findall(rf"^  ({name} [a-z-]+) ", text, re.M):
            assert "Examples:" in run_cli(place, [*action.split(), "--help"]).stdout


def test_the_manual_page_is_roff(place):
    text = run_cli(place, ["help", "--format", "man"]).stdout
    assert text.startswith(".TH PENSTOCK 1")
    assert ".SH EXIT STATUS" in text


@pytest.mark.parametrize("arguments, status", [
    (["nonsense"], 64), (["status", "--nonsense"], 64), (["restore"], 64), (["help", "nonsense"], 66),
    (["status", "a", "b"], 64), (["sync", "--page"], 64),
])
def test_a_wrong_command_line_is_64(place, arguments, status):
    done = run_cli(place, arguments, check=False)
    assert done.returncode == status and done.stderr.startswith("penstock: ")


def test_without_a_server_commands_say_how_to_start_one(place):
    done = run_cli(place, ["status", "--data-dir", place / "nowhere"], check=False)
    assert done.returncode == 75 and "penstock serve" in done.stderr
    done = run_cli(place, ["status", "--data-dir", place / "nowhere", "--json"], check=False)
    assert json.loads(done.stderr)["code"] == "SERVICE_UNAVAILABLE"
    done = run_cli(place, ["status", "--url", "http://127.0.0.1:1"], check=False)
    assert done.returncode == 64 and "PENSTOCK_KEY" in done.stderr
