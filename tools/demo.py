#!/usr/bin/env python3
"""The demo: a simulated PeopleSoft and Penstock side by side on loopback.

    ./dev demo [--port N] [--sim-port N] [--records N] [--fresh]

Starts both, creates an organization, a key and a connection, runs the first full sync with a
progress bar, changes some rows in the simulator, syncs what changed, shows it, and waits for
Ctrl-C. Run again, it goes on with the same store. Only Python's own library is used.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"
PLACE = ROOT / "build/demo"
DATA = PLACE / "data"
KEY_FILE = DATA / "demo.key"
SETTINGS = PLACE / "demo.json"
RECORDS = 200000
PENSTOCK = BUILD / "src/cli/penstock"
PEOPLESIM = BUILD / "peoplesim/peoplesim"
USER, PASSWORD = "PSAPI", "sim-demo-password"
START_SECONDS = 30


class Stop(Exception):
    """Ctrl-C, or something that ends the demo; its text is for the user."""


def say(text=""):
    print(text, flush=True)


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
    with opener.open(request, timeout=30) as answer:
        text = answer.read()
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
                tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-8:])
                raise Stop(f"{name} did not start; the end of {log_path}:\n{tail}")
            time.sleep(0.05)

    def stop(self):
        """In reverse order, gracefully; True when all ended with 0."""
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
            done = subprocess.run(command, check=False)
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
            self.penstock("organizations", "create", "Demo")
            made = self.penstock("keys", "create", "--organization", "Demo", "--name", "demo")
            descriptor = os.open(KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(made["key"] + "\n")
        return KEY_FILE.read_text().strip()

    def connection(self, key):
        """The demo's connection, and whether it was made just now."""
        found = call(self.url + "/v1/connections", key=key)["data"]
        config = {"base_url": self.sim_url, "time_zone": "UTC"}
        if found:
            connection = found[0]["id"]
            call(f"{self.url}/v1/connections/{connection}", "PATCH", {"config": config}, key)
            return connection, False
        made = call(self.url + "/v1/connections", "POST", {
            "name": "Simulated PeopleSoft", "connector": "peoplesoft", "config": config,
            "credentials": {"username": USER, "password": PASSWORD}, "schedule": "1m", "history_days": 0}, key)
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


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description="Penstock beside a simulated PeopleSoft.")
    parser.add_argument("--port", type=int, default=7400, help="of the API (7400)")
    parser.add_argument("--sim-port", type=int, default=7401, help="of the simulator (7401, or a free one)")
    parser.add_argument("--records", type=int, help=f"about how many rows the simulator's orders have ({RECORDS:,})")
    parser.add_argument("--fresh", action="store_true", help="forget the store of last time")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    if options.fresh:
        shutil.rmtree(PLACE, ignore_errors=True)
    DATA.mkdir(parents=True, exist_ok=True, mode=0o700)
    demo = Demo(options)
    status = 0
    try:
        demo.run()
    except KeyboardInterrupt:
        say("\nstopping ...")
    except Stop as stop:
        say(str(stop))
        status = 1
    if not demo.stop():
        status = 1
    say("stopped." if status == 0 else "stopped, not cleanly.")
    return status


if __name__ == "__main__":
    sys.exit(main())
