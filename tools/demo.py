#!/usr/bin/env python3
"""The demo: a simulated PeopleSoft and Penstock side by side on loopback.

    ./dev demo [--port N] [--sim-port N] [--records N] [--fresh]

Builds, starts both, creates an organization, a key and a connection, runs the first full sync with a
progress bar, changes some rows in the simulator, syncs what changed, shows it, and waits for
Ctrl-C. Run again, it goes on with the same store. Only Python's own library is used.
"""
import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"
PLACE = ROOT / "build/demo"
DATA = PLACE / "data"
KEY_FILE = DATA / "demo.key"
SETTINGS = PLACE / "demo.json"
LOCK = ROOT / "build/demo.lock"
BUILD_LOG = ROOT / "build/logs/demo-build.log"
RECORDS = 200000
PENSTOCK = BUILD / "src/cli/penstock"
PEOPLESIM = BUILD / "peoplesim/peoplesim"
USER, PASSWORD = "PSAPI", "sim-demo-password"
START_SECONDS = 30
USAGE = 64  # the exit status of a wrong command line, as everywhere in the project


class Stop(Exception):
    """Ctrl-C, or something that ends the demo; its text is for the user."""


class Refused(Stop, OSError):
    """A request was answered with an error; while a program starts, that is tried again."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def number(low, high):
    """What argparse calls to read a whole number from low to high."""
    def read(text):
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {low} to {high}")
        return int(text)
    return read


def say(text="", end="\n"):
    with contextlib.suppress(OSError):  # the terminal may be gone; stopping goes on
        print(text, end=end, flush=True)


def interrupted(_signal, _frame):
    raise KeyboardInterrupt


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def call(url, method="GET", body=None, key=None):
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = "Bearer " + key
    request = urllib.request.Request(url, method=method, headers=headers,
                                     data=None if body is None else json.dumps(body).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        with contextlib.suppress(ValueError, AttributeError):
            said = json.loads(said).get("detail", said)
        raise Refused(f"{method} {url} was answered with {error.code}: {said}") from None
    return json.loads(text) if text else None


class Demo:
    def __init__(self, options):
        self.options = options
        self.children = []
        self.url = f"http://127.0.0.1:{options.port}"

    @property
    def sim_url(self):
        return f"http://127.0.0.1:{self.options.sim_port}"

    # ---- programs ----

    def start(self, name, command, probe):
        """Starts a program in a process group of its own (Ctrl-C is for this script, which then
        stops the others in order) and waits until probe() works."""
        log_path = PLACE / f"{name}.log"
        before = log_path.stat().st_size if log_path.exists() else 0
        with open(log_path, "ab") as log:
            child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=subprocess.STDOUT, cwd=PLACE, start_new_session=True,
                                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.children.append((name, child))
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return probe()
            except OSError:
                pass
            if child.poll() is not None or time.monotonic() > deadline:
                said = log_path.read_bytes()[before:].decode(errors="replace").splitlines()[-8:]
                raise Stop(f"{name} did not start; the end of {log_path}:\n" + "\n".join(said))
            time.sleep(0.05)

    def stop(self):
        """In reverse order, gracefully; True when all ended with 0. Another Ctrl-C changes nothing."""
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_number, signal.SIG_IGN)
        fine = True
        for name, child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
            try:
                status = child.wait(timeout=40)
            except subprocess.TimeoutExpired:
                child.kill()
                status = child.wait()
            if status != 0:
                say(f"{name} ended with {status}; see {PLACE / (name + '.log')}")
                fine = False
        return fine

    def penstock(self, *arguments, show=False):
        """A command of the command line: shown to the user, or its JSON."""
        command = [str(PENSTOCK), *map(str, arguments), "--data-dir", str(DATA)]
        if show:
            # Busy for a moment: the schedule was quicker, or the address has just changed.
            for _ in range(5):
                done = subprocess.run(command, check=False)
                if done.returncode != os.EX_TEMPFAIL:
                    break
                time.sleep(1)
        else:
            done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Stop(f"$ {' '.join(command)}\nended with {done.returncode}\n{'' if show else done.stderr}")
        return None if show else json.loads(done.stdout)

    # ---- steps ----

    def start_programs(self):
        if not is_free(self.options.port):
            raise Stop(f"port {self.options.port} of 127.0.0.1 is taken; choose another with --port")
        if not is_free(self.options.sim_port):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.options.sim_port = probe.getsockname()[1]
        say("starting peoplesim (a PeopleSoft gateway with made-up data) ...")
        self.start("peoplesim", [PEOPLESIM, "--listen", f"127.0.0.1:{self.options.sim_port}", "--control", "127.0.0.1:0", "--records",
                                 self.options.records, "--user", USER, "--password", PASSWORD,
                                 "--state", PLACE / "peoplesim.state"],
                   lambda: call(self.sim_url + "/sim/status"))
        say("starting penstock serve ...")
        self.start("penstock", [PENSTOCK, "serve", "--dev", "--listen", f"127.0.0.1:{self.options.port}",
                                "--data-dir", DATA], lambda: call(self.url + "/readyz"))

    def recall_records(self):
        """The simulator's data has to be that of last time, since its changes refer to it."""
        if SETTINGS.exists():
            before = json.loads(SETTINGS.read_text())["records"]
            if self.options.records not in (None, before):
                raise Stop(f"the store of last time was made with --records {before}; another number needs --fresh")
            self.options.records = before
        else:
            self.options.records = self.options.records or RECORDS
            SETTINGS.write_text(json.dumps({"records": self.options.records}))

    def key(self):
        if not KEY_FILE.exists():
            if not self.penstock("organizations")["data"]:
                self.penstock("organizations", "create", "Demo")
            made = self.penstock("keys", "create", "--organization", "Demo", "--name", "demo")
            descriptor = os.open(KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(made["key"] + "\n")
        return KEY_FILE.read_text().strip()

    def connection(self, key):
        """The demo's connection, and whether its first sync is still to be done."""
        found = call(self.url + "/v1/connections", key=key)["data"]
        config = {"base_url": self.sim_url, "time_zone": "UTC"}
        credentials = {"username": USER, "password": PASSWORD}
        if found:
            connection = found[0]["id"]
            # The simulator may have another port than last time: that is another address, to which
            # stored credentials are not sent.
            call(f"{self.url}/v1/connections/{connection}", "PATCH", {"config": config, "credentials": credentials},
                 key)
            return connection, not found[0]["initial_sync_done"]
        made = call(self.url + "/v1/connections", "POST", {
            "name": "Simulated PeopleSoft", "connector": "peoplesoft", "config": config,
            "credentials": credentials, "schedule": "1m", "history_days": 0}, key)
        return made["id"], True

    def change_rows(self):
        """What a working day does, in one go."""
        for body in ({"action": "change", "query": "PST_PURCHASE_ORDERS", "count": 5},
                     {"action": "add", "query": "PST_PURCHASE_ORDERS", "count": 2},
                     {"action": "change", "query": "PST_WORK_ORDERS", "count": 3},
                     {"action": "change", "query": "PST_SUPPLIERS", "count": 1}):
            call(self.sim_url + "/sim/change", "POST", {**body, "seed": int(time.time())})

    def newest_change(self, connection, key):
        """The number of the newest change."""
        listed = call(f"{self.url}/v1/connections/{connection}", key=key)
        return listed.get("last_seq", 0)

    def goodbye(self, connection, key):
        base = f"{self.url}/v1/connections/{connection}"
        say(f"""
Penstock answers at {self.url}/v1 and syncs every minute. Try:

  curl -s -H 'Authorization: Bearer {key}' '{base}/purchase-orders?limit=2'
  curl -s -H 'Authorization: Bearer {key}' '{base}/changes?after=0&limit=5'
  curl -s -H 'Authorization: Bearer {key}' '{self.url}/v1/openapi.json'
  {PENSTOCK.relative_to(ROOT)} status --data-dir {DATA.relative_to(ROOT)}

Ctrl-C stops both programs. ./dev demo goes on with the same store, ./dev demo --fresh begins anew.""")

    def run(self):
        self.recall_records()
        self.start_programs()
        key = self.key()
        connection, is_new = self.connection(key)
        say("first full sync:" if is_new else "incremental sync, on the store of last time:")
        self.penstock("sync", connection, *(["--full"] if is_new else []), "--watch", show=True)
        before = self.newest_change(connection, key)
        say("\nchanging a few rows in the simulator, as a working day does; incremental sync:")
        self.change_rows()
        self.penstock("sync", connection, show=True)
        say("\nwhat changed:")
        self.penstock("changes", connection, "--after", before, show=True)
        self.goodbye(connection, key)
        while True:
            for name, child in self.children:
                if child.poll() is not None:
                    raise Stop(f"{name} ended with {child.returncode}; see {PLACE / (name + '.log')}")
            time.sleep(0.3)


def build():
    """The release build, as a line that counts on a terminal; it takes minutes the first time only."""
    BUILD_LOG.parent.mkdir(parents=True, exist_ok=True)
    say(f"building (the output is in {BUILD_LOG.relative_to(ROOT)}) ...")
    with open(BUILD_LOG, "w", encoding="utf-8") as log, \
            subprocess.Popen([ROOT / "dev", "build", "release"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace") as child:
        for line in child.stdout:
            log.write(line)
            step = re.match(r"\[(\d+)/(\d+)\]", line)
            if step and sys.stdout.isatty():
                say(f"\r  {step[1]} of {step[2]} steps", end="" if step[1] != step[2] else "\n")
    if child.returncode != 0:
        raise Stop("\n".join(BUILD_LOG.read_text(errors="replace").splitlines()[-40:]) + "\nthe build failed")


def hold_place():
    """Two demos at a time would share a store; the lock goes with the process."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    lock = open(LOCK, "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Stop("a demo is running in this directory already; stop it with Ctrl-C first") from None
    return lock


def parse_arguments():
    port = number(1, 65535)
    parser = Parser(prog="./dev demo", description="Penstock beside a simulated PeopleSoft.")
    parser.add_argument("--port", type=port, default=7400, metavar="N", help="of the API (7400)")
    parser.add_argument("--sim-port", type=port, default=7401, metavar="N",
                        help="of the simulator (7401, or a free one)")
    parser.add_argument("--records", type=number(100, 10**7), metavar="N",
                        help=f"about how many order lines' schedules the simulator has ({RECORDS:,})")
    parser.add_argument("--fresh", action="store_true", help="forget the store of last time")
    options = parser.parse_args()
    if options.port == options.sim_port:
        parser.error(f"--port and --sim-port are both {options.port}")
    return options


def main():
    options = parse_arguments()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, interrupted)
    demo = Demo(options)
    status = 1
    try:
        lock = hold_place()  # noqa: F841  (held until the end)
        build()
        if options.fresh:
            shutil.rmtree(PLACE, ignore_errors=True)
        DATA.mkdir(parents=True, exist_ok=True, mode=0o700)
        demo.run()
    except KeyboardInterrupt:
        status = 0
        say("\nstopping ...")
    except Stop as stop:
        print(stop, file=sys.stderr, flush=True)
    finally:
        if not demo.stop():
            status = 1
        if demo.children:
            say("stopped." if status == 0 else "stopped, not cleanly.")
    return status


if __name__ == "__main__":
    sys.exit(main())
