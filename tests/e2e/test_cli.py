"""Every command that talks to a server, through its local socket and with a key."""
import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from harness import binary, slowness, wait_until
from harness.programs import environment, run_cli


@pytest.fixture
def acme(server, sim):
    """A server with an organization and a connection `acme`, made by commands, its first sync done."""
    server.cli("organizations", "create", "Acme")
    server.cli("connect", "peoplesoft", "--name", "acme", "--base-url", sim.url, "--username", sim.USER,
               "--password-file", "-", "--history-days", "0", "--schedule", "manual", stdin=sim.PASSWORD + "\n")
    server.cli("sync", "acme", "--watch")
    return server


def background(server, *arguments):
    return subprocess.Popen([binary("penstock"), *arguments, "--data-dir", server.data], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                            env=environment(server.directory), cwd=server.directory)


# ---- organizations and keys ----

def test_organizations_are_created_and_listed(server):
    made = server.cli("organizations", "create", "Acme", json_output=True)
    assert made["id"].startswith("org_")
    assert "Acme" in server.cli("organizations").stdout
    assert [o["name"] for o in server.cli("organizations", "list", json_output=True)["data"]] == ["Acme"]
    again = server.cli("organizations", "create", "Acme", check=False)
    assert again.returncode == 65 and ("Acme" in again.stderr or made["id"] in again.stderr)


def test_without_an_organization_the_first_step_is_named(server):
    for command in (["status"], ["connections"], ["keys"], ["keys", "create"], ["sync"]):
        done = server.cli(*command, check=False)
        assert done.returncode == 66 and "penstock organizations create" in done.stderr, command


def test_with_two_organizations_one_has_to_be_named(server):
    server.cli("organizations", "create", "One")
    server.cli("organizations", "create", "Two")
    done = server.cli("keys", "create", "--name", "k", check=False)
    assert done.returncode == 64 and "--organization" in done.stderr
    key = server.cli("keys", "create", "--name", "k", "--organization", "Two").stdout.strip()
    assert key.startswith("psk_") and len(key) == 62
    assert server.cli("keys", "--organization", "One", json_output=True)["data"] == []


def test_a_key_works_from_afar_until_it_is_revoked(acme):
    acme.cli("keys", "create", "--name", "ops", "--role", "viewer")
    made = acme.cli("keys", "create", "--name", "ops2", "--role", "developer", json_output=True)
    listed = acme.cli("keys", json_output=True)["data"]
    assert [k["name"] for k in listed] == ["ops", "ops2"] and listed[0]["role"] == "viewer"
    assert "key" not in listed[1] and listed[1]["hint"] == made["key"][:12]
    afar = {"PENSTOCK_URL": acme.url, "PENSTOCK_KEY": made["key"]}
    assert "acme" in acme.cli("status", **afar).stdout
    refused = acme.cli("organizations", check=False, **afar)
    assert refused.returncode == 77
    acme.cli("keys", "revoke", made["id"])
    done = acme.cli("status", check=False, **afar)
    assert done.returncode == 77
    assert acme.cli("keys", "revoke", "key_00000000000000000000000000", check=False).returncode == 66


def test_a_token_reads_its_connection(acme):
    token = acme.cli("keys", "create", "--connection", "acme", "--name", "app", json_output=True)
    assert token["token"].startswith("pct_")
    connection = acme.cli("connections", json_output=True)["data"][0]["id"]
    afar = {"PENSTOCK_URL": acme.url, "PENSTOCK_KEY": token["token"]}
    records = acme.cli("records", connection, "suppliers", json_output=True, **afar)["data"]
    assert records
    named = acme.cli("records", "acme", "suppliers", check=False, **afar)
    assert named.returncode == 77 and "conn_" in named.stderr
    assert acme.cli("keys", "--connection", "acme", json_output=True)["data"][0]["id"] == token["id"]
    acme.cli("keys", "revoke", token["id"], "--connection", "acme")
    assert acme.cli("records", connection, "suppliers", check=False, **afar).returncode == 77


# ---- connections ----

def test_connect_tests_the_connection_and_says_what_is_wrong(server, sim):
    server.cli("organizations", "create", "Acme")
    done = server.cli("connect", "peoplesoft", "--name", "bad", "--base-url", sim.url, "--username", sim.USER,
                      check=False, PENSTOCK_PASSWORD="wrong")
    assert done.returncode == 77, done.stderr
    assert done.stdout.startswith("conn_")
    # The first sync may have been refused before the test, and then nothing is tried again.
    assert "refused the credentials" in done.stderr or ("FAIL" in done.stdout and "->" in done.stdout)


@pytest.mark.parametrize("arguments, word", [
    (["nosuch", "--base-url", "http://127.0.0.1:1"], "nosuch"),
    (["peoplesoft", "--username", "U"], "base_url"),
    (["peoplesoft", "--base-url", "http://127.0.0.1:1", "--username", "U", "--set", "colour=red"], "colour"),
    (["peoplesoft", "--base-url", "http://127.0.0.1:1", "--username", "U", "--schedule", "sometimes"], "15m"),
    (["peoplesoft", "--base-url", "http://127.0.0.1:1", "--username", "U", "--entities", "unicorns"], "unicorns"),
    (["peoplesoft", "--base-url", "http://127.0.0.1:1", "--username", "U", "--time-zone", "America/NewYork"],
     "America/NewYork"),
    (["peoplesoft", "--base-url", "http://127.0.0.1:1", "--username", "U", "--schedule", "0 6 * * * Mars/Base"],
     "Mars/Base"),
    (["peoplesoft", "--base-url", "http://127.0.0.1:1", "--username", "U", "--history-days", "-3"], "--history-days"),
])
def test_what_a_connection_cannot_have_is_named(server, arguments, word):
    server.cli("organizations", "create", "Acme")
    done = server.cli("connect", *arguments, check=False, PENSTOCK_PASSWORD="p4ssw0rd-never-shown")
    assert done.returncode == 64 and word in done.stderr
    assert "p4ssw0rd" not in done.stderr + done.stdout


def test_a_connection_is_looked_at_changed_and_deleted(acme):
    assert "online" in acme.cli("connections").stdout
    shown = acme.cli("connections", "get", "acme", json_output=True)
    assert shown["name"] == "acme" and "password" not in json.dumps(shown)
    text = acme.cli("connections", "get", shown["id"]).stdout
    for line in ("Status: *online", "Schedule: *manual", "Entities: *all"):
        assert re.search(f"^{line}$", text, re.M), text
    acme.cli("connections", "update", "acme", "--name", "Acme ERP", "--schedule", "5m", "--metadata", "crm=77")
    changed = acme.cli("connections", "get", "Acme ERP", json_output=True)
    assert changed["schedule"] == {"interval": "5m"} and changed["metadata"] == {"crm": "77"}
    done = acme.cli("connections", "update", "Acme ERP", "--time-zone", "America/New_York", "--serve-stale", "yes")
    assert "reads everything again" in done.stderr
    assert acme.cli("connections", "get", "Acme ERP", json_output=True)["serve_stale"] is True
    acme.cli("connections", "update", "Acme ERP", "--enabled", "no")
    assert acme.cli("connections", "get", "Acme ERP", json_output=True)["status"] == "inactive"
    history = acme.cli("connections", "history", "Acme ERP", json_output=True)["data"]
    assert history[0]["status"] == "inactive"
    assert acme.cli("connections", "delete", "Acme ERP", check=False).returncode == 75
    acme.cli("connections", "delete", "Acme ERP", "--purge", "--yes")
    assert acme.cli("connections", "get", "Acme ERP", check=False).returncode == 66


def test_an_unknown_action_is_told_which_there_are(server):
    done = server.cli("keys", "nosuch", check=False)
    assert done.returncode == 64
    assert "there is no action 'nosuch'; there are: create, revoke, rotate-root, rotate-data" in done.stderr


def test_what_is_typed_wrong_is_explained(acme):
    early = acme.cli("--json", "status", check=False)
    assert early.returncode == 64 and "behind the command: penstock COMMAND --json" in early.stderr, early.stderr
    nothing = acme.cli("connections", "update", "acme", check=False)
    assert nothing.returncode == 64 and "say what to change" in nothing.stderr, nothing.stderr
    one = acme.cli("records", "acme", "suppliers", "--fields", "number", "--limit", "1").stdout
    assert "rec_" in one and acme.cli("records", "acme", "suppliers", "--limit", "1").stdout == one


def test_the_environment_says_nothing_of_an_incident(acme):
    incident = acme.cli("incidents", "open", "Slow", PENSTOCK_IMPACT="down", PENSTOCK_TEXT="Not this").stdout.strip()
    found = acme.cli("incidents", json_output=True)["data"][0]
    assert (found["id"], found["impact"]) == (incident, "degraded") and "Not this" not in str(found), found


def test_a_test_shows_every_entity(acme):
    answer = acme.cli("connections", "test", "acme", json_output=True)
    assert answer["ok"] is True
    assert {c["entity"] for c in answer["checks"]} >= {"suppliers", "items", "purchase_orders", "work_orders"}


def test_a_wrong_path_is_one_finding_and_not_one_for_each_query(acme, sim):
    done = acme.cli("connect", "peoplesoft", "--name", "lost", "--base-url", sim.url + "/nowhere", "--username",
                    sim.USER, check=False, PENSTOCK_PASSWORD=sim.PASSWORD)
    assert done.returncode == 76
    assert done.stdout.count("FAIL") == 2 and "PSIGW" in done.stdout and "the query is there" not in done.stdout
    lost = acme.cli("connections", "get", "lost", json_output=True)["id"]
    wait_until(lambda: acme.log_lines(msg="sync ended", connection_id=lost, status="failed"), "its sync to fail")
    line = acme.log_lines(msg="sync ended", connection_id=lost, status="failed")[0]
    assert line["level"] == "warn" and "404" in line["error"]


def test_a_host_that_does_not_exist_is_unreachable_at_every_try(acme, sim):
    done = acme.cli("connect", "peoplesoft", "--name", "gone", "--base-url", "http://no.such.invalid", "--username",
                    sim.USER, check=False, PENSTOCK_PASSWORD=sim.PASSWORD)
    assert done.returncode == 75 and "looking up the name" in done.stdout
    ended = acme.cli("sync", "gone", "--watch", check=False)
    assert ended.returncode == 75 and "looking up the name" in ended.stderr


def test_values_may_have_commas(acme):
    acme.cli("connections", "update", "acme", "--metadata", "town=Berlin, Mitte", "--metadata", "a=1")
    shown = acme.cli("connections", "get", "acme", json_output=True)
    assert shown["metadata"] == {"town": "Berlin, Mitte", "a": "1"}
    done = acme.cli("records", "acme", "purchase_orders", "--filter", "status=approved,closed", check=False)
    assert done.returncode == 64 and "'approved,closed'" in done.stderr


def test_names_that_do_not_lead_to_one_connection(acme, sim):
    assert acme.cli("sync", "nobody", check=False).returncode == 66
    acme.cli("connect", "peoplesoft", "--name", "acme", "--base-url", sim.url, "--username", sim.USER, "--no-test",
             "--schedule", "manual", PENSTOCK_PASSWORD=sim.PASSWORD)
    done = acme.cli("status", "acme", check=False)
    assert done.returncode == 65 and done.stderr.count("conn_") == 2
    done = acme.cli("changes", check=False)
    assert done.returncode == 64 and "acme" in done.stderr
    assert acme.cli("sync", check=False).returncode == 64


# ---- syncs ----

def test_a_sync_tells_what_it_did(acme, sim):
    sim.change("change", "purchase_orders", 3)
    done = acme.cli("sync", "acme")
    assert done.stdout.startswith("completed: ") and "3 updated" in done.stdout
    assert "purchase_orders" in done.stderr and "\x1b" not in done.stderr
    sim.change("delete", "suppliers", 1)
    result = acme.cli("sync", "acme", "--full", "--entities", "suppliers", json_output=True)
    assert result["mode"] == "full" and result["counts"]["deleted"] == 1
    assert [e["entity"] for e in result["entities"]] == ["suppliers"]


def test_a_failed_sync_has_the_exit_status_of_its_error(acme, sim):
    sim.control("POST", "/sim/faults", json={"kind": "401"})
    done = acme.cli("sync", "acme", check=False)
    assert done.returncode == 77 and done.stdout.startswith("failed: ")
    refused = acme.cli("sync", "acme", check=False)
    assert refused.returncode == 77 and "credentials" in refused.stderr


def test_a_sync_is_watched_and_cancelled(acme, sim):
    sim.control("POST", "/sim/latency", json={"ms": 400 * slowness()})
    queued = acme.cli("sync", "acme", "--full", "--no-wait").stdout.strip()
    assert queued.startswith("sync_")
    busy = acme.cli("sync", "acme", check=False)
    assert busy.returncode == 75 and queued in busy.stderr
    watching = background(acme, "sync", "acme", "--watch")
    leaving = background(acme, "sync", "acme", "--watch")
    wait_until(lambda: acme.cli("status", "acme", json_output=True)["syncing"], "the sync to run")
    wait_until(lambda: leaving.poll() is None, "the watcher to watch")
    time.sleep(0.5 * slowness())
    leaving.send_signal(signal.SIGINT)
    _, said = leaving.communicate(timeout=20)
    assert leaving.returncode == 75 and "goes on" in said
    acme.cli("sync", "acme", "--cancel")
    out, _ = watching.communicate(timeout=30 * slowness())
    assert watching.returncode == 75 and out.startswith("cancelled: ")
    assert acme.cli("sync", "acme", "--cancel", check=False).returncode == 66


def test_a_sync_behind_many_newer_ones_is_found(acme, sim):
    sim.control("POST", "/sim/faults", json={"kind": "slow", "query": "PST_SUPPLIERS", "ms": 100000 * slowness()})
    held = acme.cli("sync", "acme", "--entities", "suppliers", "--no-wait").stdout.strip()
    for _ in range(11):
        acme.cli("sync", "acme", "--entities", "items")
    assert acme.cli("sync", "acme", "--watch", "--no-wait").stdout.strip() == held
    assert held in acme.cli("sync", "acme", "--cancel").stdout


def test_on_a_terminal_there_is_a_progress_bar(acme, sim):
    sim.control("POST", "/sim/latency", json={"ms": 100})
    master, slave = pty.openpty()
    child = subprocess.Popen([binary("penstock"), "sync", "acme", "--full", "--data-dir", acme.data],
                             stdout=slave, stderr=slave, stdin=slave, env=environment(acme.directory))
    os.close(slave)
    text = b""
    while True:
        try:
            more = os.read(master, 4096)
        except OSError:
            break
        if not more:
            break
        text += more
    assert child.wait(timeout=60) == 0
    os.close(master)
    assert b"\r[" in text and b"records" in text and b"/s" in text and b"completed: " in text


def on_terminal(server, arguments, answers):
    """Run a command on a terminal of its own; answers: (what it asks, what is typed). Returns
    (exit status, everything that stood on the screen)."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(server.directory)
        os.execve(binary("penstock"), ["penstock", *arguments, "--data-dir", str(server.data)],
                  environment(server.directory))
    screen, waiting = b"", list(answers)
    while True:
        try:
            more = os.read(master, 4096)
        except OSError:
            break
        if not more:
            break
        screen += more
        if waiting and waiting[0][0].encode() in screen:
            os.write(master, waiting.pop(0)[1].encode() + b"\n")
    os.close(master)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), screen.decode(errors="replace")


def test_a_password_is_asked_for_without_echo(acme, sim):
    sim.control("POST", "/sim/account", json={"password": "another-9d41"})
    assert acme.cli("sync", "acme", check=False).returncode == 77
    status, screen = on_terminal(acme, ["connections", "update", "acme", "--ask-password"],
                                 [("Password: ", "another-9d41")])
    assert status == 0 and "another-9d41" not in screen
    wait_until(lambda: acme.cli("connections", "get", "acme", json_output=True)["status"] == "online", "the probe")


def test_deleting_is_asked_about(acme):
    status, screen = on_terminal(acme, ["connections", "delete", "acme"], [("[y/N]", "n")])
    assert status == 75 and "nothing was changed" in screen
    status, _ = on_terminal(acme, ["connections", "delete", "acme"], [("[y/N]", "y")])
    assert status == 0
    assert acme.cli("connections", json_output=True)["data"] == []


# ---- looking at data ----

def test_status_sums_up(acme):
    (one,) = acme.cli("status", json_output=True)["data"]
    entities = acme.cli("status", "acme", json_output=True)["entities"]
    assert one["records"] == sum(e["records"] for e in entities) > 0
    assert one["last_success_at"] == min(e["last_success_at"] for e in entities)
    text = acme.cli("status", "acme").stdout
    assert "purchase_orders" in text and "completed" in text


def test_status_and_doctor_say_why_a_connection_stays_pending(server):
    server.cli("organizations", "create", "Acme")
    server.cli("connect", "peoplesoft", "--name", "far", "--base-url", "http://169.254.169.254/", "--username", "U",
               check=False, PENSTOCK_PASSWORD="x")
    wait_until(lambda: server.cli("status", json_output=True)["data"][0]["error"], "the first sync to fail")
    (one,) = server.cli("status", json_output=True)["data"]
    assert one["status"] == "pending" and one["error"]["code"] == "ADDRESS_NOT_ALLOWED"
    what_to_do = f"penstock connections test {one['id']}"
    text = server.cli("status").stdout
    assert one["error"]["message"] in text and what_to_do in text
    said = server.cli("doctor").stdout
    assert "ADDRESS_NOT_ALLOWED" in said and "penstock connections test" in said and "all is well" not in said


def test_records_are_listed_filtered_and_shown(acme):
    everything = acme.cli("records", "acme", "purchase_orders", "--limit", "100000", json_output=True)["data"]
    assert len(everything) == 200
    status = everything[0]["status"]
    wanted = [r["id"] for r in everything if r["status"] == status]
    found = acme.cli("records", "acme", "purchase-orders", "--filter", f"status={status}", "--limit", "1000",
                     json_output=True)["data"]
    assert [r["id"] for r in found] == wanted
    assert len(acme.cli("records", "acme", "purchase_orders", json_output=True)["data"]) == 20
    few = acme.cli("records", "acme", "items", "--fields", "number,status", "--limit", "1", json_output=True)["data"]
    assert "number" in few[0] and "description" not in few[0]
    first = everything[0]
    for name in (first["id"], "source_id:" + first["source_id"]):
        one = acme.cli("records", "acme", "purchase_orders", name, "--source", json_output=True)
        assert one["id"] == first["id"] and one["source"]
    text = acme.cli("records", "acme", "purchase_orders", first["id"]).stdout
    assert first["display_name"] in text and "lines:" in text
    assert acme.cli("records", "acme", "unicorns", check=False).returncode == 66
    assert acme.cli("records", "acme", "items", "--filter", "colour=red", check=False).returncode == 64
    assert acme.cli("records", "acme", "items", "--filter", "red", check=False).returncode == 64


def test_changes_are_read_and_followed(acme, sim):
    changes = acme.cli("changes", "acme", "--limit", "1000000", json_output=False).stdout.splitlines()
    newest = int(changes[-1].split()[0])
    assert len(changes) == newest
    follower = background(acme, "changes", "acme", "--after", str(newest), "--follow", "--json", "--entities",
                          "suppliers")
    sim.change("change", "suppliers", 2)
    acme.cli("sync", "acme")
    lines = [json.loads(follower.stdout.readline()) for _ in range(2)]
    assert {(c["entity"], c["op"]) for c in lines} == {("suppliers", "updated")}
    acme.stop()
    assert "trying again until it answers" in follower.stderr.readline()
    acme.start()
    assert "answers again" in follower.stderr.readline()
    sim.change("change", "suppliers", 1)
    acme.cli("sync", "acme")
    assert json.loads(follower.stdout.readline())["seq"] > max(c["seq"] for c in lines)
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=20)


def test_control_characters_of_the_source_do_not_reach_the_terminal(acme):
    acme.cli("connections", "update", "acme", "--name", "evil \x1b[31m name")
    assert "\x1b" not in acme.cli("connections").stdout


# ---- backup, doctor ----

def test_a_running_server_is_backed_up_and_the_copy_is_whole(acme, place):
    info = acme.cli("backup", place / "copy.db", json_output=True)
    assert info["connections"] == 1 and info["records"] > 200
    acme.stop()
    acme.cli("restore", place / "copy.db", "--yes")
    acme.start()
    assert acme.cli("status", json_output=True)["data"][0]["records"] == info["records"]
    acme.cli("sync", "acme")


def test_stored_credentials_survive_a_new_root_key(acme):
    acme.stop()
    acme.cli("keys", "rotate-root")
    acme.start()
    assert acme.cli("sync", "acme").stdout.startswith("completed")


def test_stored_credentials_survive_new_data_keys(acme):
    refused = acme.cli("keys", "rotate-data", check=False)
    assert refused.returncode == 75, "under a running server"
    acme.stop()
    first = acme.cli("keys", "rotate-data", json_output=True)
    assert first == {"organizations": 1, "secrets": 1, "resumed": False}
    assert acme.cli("keys", "rotate-data", "--organization", "nobody", check=False).returncode == 66
    acme.start()
    assert acme.cli("sync", "acme").stdout.startswith("completed")


def test_the_doctor_looks_at_the_directory_itself(server, place):
    server.stop()
    (place / "file").write_text("no directory")
    done = subprocess.run([binary("penstock"), "doctor", "--data-dir", place / "file"], capture_output=True, text=True,
                          env=environment(place), timeout=60, check=False)
    assert done.returncode == 75 and "is no directory" in done.stdout


def test_the_doctor_of_a_server_elsewhere_says_nothing_of_this_machine(acme, place):
    key = acme.cli("keys", "create", "--organization", "Acme", "--name", "doctor", "--role", "viewer", json_output=True)["key"]
    done = run_cli(place, ["doctor", "--url", acme.url, "--json"], PENSTOCK_KEY=key)
    checks = json.loads(done.stdout)["checks"]
    assert [(c["name"], c["verdict"]) for c in checks] == [("this machine", "skipped"), ("connection acme", "ok")], checks
    acme.stop()
    done = run_cli(place, ["doctor", "--url", acme.url], PENSTOCK_KEY=key, check=False)
    assert done.returncode != 0 and "FAIL" in done.stdout


def test_the_doctor_reaches_out(acme, sim):
    assert acme.cli("doctor", "--reach", json_output=True)["ok"] is True
    sim.stop()
    done = acme.cli("doctor", "--reach", check=False)
    assert done.returncode == 75 and "connection acme" in done.stdout and "FAIL" in done.stdout
