"""The real programs as child processes in a directory of their own."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import requests

from .api import Api
from .wait import wait_until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("PST_BUILD", "build/dev")
SANITIZER = next((kind for kind in ("asan", "tsan") if BUILD.name.endswith(kind)), None)
REPORT = re.compile(r"(ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|"
                    r"runtime error: |Sanitizer CHECK failed|DEADLYSIGNAL)")
STOP_SECONDS = 20


def slowness():
    """How much longer things take in this build; multiply time limits by it."""
    return {"asan": 3, "tsan": 8}.get(SANITIZER, 1)


def binary(name):
    """The built program of that name."""
    for folder in ("", "src", "src/cli", "src/app", "peoplesim"):
        path = BUILD / folder / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"{name} is not built in {BUILD}; run ./dev build")


def environment(directory, **more):
    """Ours, without anything that would reach into the tests, and sanitizers that write their
    reports to files in `directory`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK_", "PEOPLESIM_", "XDG_"))
           and not k.lower().endswith("_proxy")}
    report = f"log_path={directory}/sanitizer"
    env["ASAN_OPTIONS"] = f"{report}:detect_leaks=1:exitcode=86:allocator_may_return_null=1"
    env["UBSAN_OPTIONS"] = f"{report}:print_stacktrace=1"
    suppressions = ROOT / "tests/harness/tsan.supp"
    env["TSAN_OPTIONS"] = f"{report}:exitcode=66:second_deadlock_stack=1:suppressions={suppressions}"
    env["HOME"] = str(directory)
    env["TZ"] = "UTC"
    env.update({k: str(v) for k, v in more.items()})
    return env


def sanitizer_reports(directory):
    """Every sanitizer report found in the files of `directory`."""
    found = []
    for path in sorted(pathlib.Path(directory).rglob("*")):
        if path.is_file() and (path.name.startswith("sanitizer.") or path.suffix == ".log"):
            text = path.read_text(errors="replace")
            if REPORT.search(text):
                start = REPORT.search(text).start()
                found.append(f"{path.name}: {text[start:start + 4000]}")
    return found


def listening_ports(pid):
    """TCP ports on which the process listens, read from /proc."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        for line in open(table).read().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                ports.append(int(words[1].rsplit(":", 1)[1], 16))
    return sorted(ports)


class Program:
    """One child process; its output goes to <directory>/<name>.log."""

    def __init__(self, directory, name, arguments, **env):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.command = [str(binary(name.split("-")[0])), *map(str, arguments)]
        self.env = environment(self.directory, **env)
        self.log_path = self.directory / f"{name}.log"
        self.child = None

    def start(self):
        assert self.child is None
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=subprocess.STDOUT, env=self.env, cwd=self.directory)
        return self

    @property
    def pid(self):
        return self.child.pid

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_lines(self, **want):
        """The JSON log lines in which every given member has the given value."""
        lines = []
        for text in self.log().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and all(line.get(k) == v for k, v in want.items()):
                lines.append(line)
        return lines

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def wait_port(self, seconds=20):
        """The lowest TCP port on which it listens."""
        def port():
            if not self.alive():
                raise RuntimeError(f"{self.name} ended with {self.child.poll()}:\n{self.log()[-3000:]}")
            return listening_ports(self.pid)
        return wait_until(port, f"{self.name} to listen", seconds * slowness())[0]

    def signal(self, number):
        self.child.send_signal(number)

    def stop(self, expect=0):
        """Ask it to end (SIGTERM) and hold it to its exit status."""
        if self.child is None:
            return None
        if self.alive():
            self.signal(signal.SIGTERM)
        status = self.wait(STOP_SECONDS * slowness())
        assert expect is None or status == expect, \
            f"{self.name} ended with {status}, expected {expect}:\n{self.log()[-3000:]}"
        return status

    def wait(self, seconds):
        try:
            status = self.child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s:\n{self.log()[-3000:]}") from None
        self.child = None
        return status

    def kill(self):
        """kill -9, whatever it is doing."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None


class Simulator(Program):
    """peoplesim on a free port. flags: its options, underscores for dashes."""

    USER, PASSWORD = "PSAPI", "sim-password-7f3a"

    def __init__(self, directory, orders=200, seed=1, zone="UTC", name="peoplesim", **flags):
        arguments = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--orders", orders, "--seed", seed,
                     "--zone", zone, "--user", self.USER, "--password", self.PASSWORD]
        for flag, value in flags.items():
            arguments += flag_of(flag, value)
        super().__init__(directory, name, arguments)
        self.zone = zone
        self.session = requests.Session()
        self.session.trust_env = False

    def start(self):
        super().start()
        self.port = self.wait_port()
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def control(self, method, path, **more):
        """One call of /sim/..., which has to succeed; returns its JSON."""
        response = self.session.request(method, self.url + path, timeout=60 * slowness(), **more)
        assert response.status_code < 300, f"{path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None

    def change(self, action, entity, count=1, **more):
        """action: change, add, delete, restore. Returns {"done": n, "keys": [[...], ...]}."""
        return self.control("POST", "/sim/change", json={"action": action, "entity": entity, "count": count, **more})

    def dump(self, query):
        """The truth: every row of a query as dicts, numbers as their text."""
        response = self.session.get(self.url + "/sim/dump", params={"query": query}, timeout=120 * slowness())
        assert response.status_code == 200, response.text[:500]
        # By bytes: guessing the encoding of a text costs more than everything else here.
        return [json.loads(line, parse_float=str, parse_int=str) for line in response.content.split(b"\n") if line]

    def count(self, query):
        """How many rows a query has."""
        return self.control("GET", "/sim/state")["queries"][query]["rows"]


class Server(Program):
    """`penstock serve` with a store in <directory>/data, on a free port. The object outlives
    restarts: start() again after stop() or kill() goes on with the same store. flags: its options;
    None leaves one at its default."""

    def __init__(self, directory, name="penstock", port=0, env=None, **flags):
        self.data = pathlib.Path(directory) / "data"
        arguments = ["serve", "--listen", f"127.0.0.1:{port}", "--data-dir", self.data, "--dev"]
        # Tests ask as often as they like, and with what keys they like, unless they are about that.
        limits = {"rate_limit_key": 10**7, "rate_limit_connection": 10**7, "rate_limit_failures": 0}
        for flag, value in {**limits, **flags}.items():
            arguments += [] if value is None else flag_of(flag, value)
        super().__init__(directory, name, arguments, **(env or {}))

    def start(self, ready=True):
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        super().start()
        if ready:
            self.port = self.wait_port()
            self.url = f"http://127.0.0.1:{self.port}"
            wait_until(self.is_ready, "penstock to be ready", 20 * slowness())
        return self

    def wait_port(self, seconds=20):
        """The port of the API, from the log: a server keeps its /proc/PID/fd to itself."""
        def port():
            if not self.alive():
                raise RuntimeError(f"penstock ended with {self.child.poll()}:\n{self.log()[-3000:]}")
            with open(self.log_path, "rb") as log:
                log.seek(self.log_start)
                found = re.search(rb'"msg":"serving".*?"port":(\d+)', log.read())
            return int(found.group(1)) if found else None
        return wait_until(port, "penstock to listen", seconds * slowness())

    def is_ready(self):
        if not self.alive():
            raise RuntimeError(f"penstock ended:\n{self.log()[-3000:]}")
        with requests.Session() as session:
            session.trust_env = False
            return session.get(self.url + "/readyz", timeout=5).status_code == 200

    def api(self, token=None):
        return Api(self.url, token, timeout=40 * slowness())

    def cli(self, *arguments, check=True, json_output=False, stdin=None, seconds=60, **env):
        """Run a command against this server through its local socket. Returns the finished
        process, or its JSON with json_output."""
        return run_cli(self.directory, [*arguments, "--data-dir", self.data], check=check,
                       json_output=json_output, stdin=stdin, seconds=seconds, **env)

    def memory(self):
        """Resident memory in bytes."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024

    def peak_memory(self):
        """Peak resident memory in bytes."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", text).group(1)) * 1024

    def cpu_by_thread(self):
        """CPU seconds of every thread, by its name, to the nanosecond."""
        spent = {}
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            name = (task / "comm").read_text().strip()
            spent[name] = spent.get(name, 0) + int((task / "schedstat").read_text().split()[0]) / 1e9
        return spent

    def cpu_seconds(self):
        return sum(self.cpu_by_thread().values())


def flag_of(name, value):
    flag = "--" + name.replace("_", "-")
    if value is True:
        return [flag]
    if value is False:
        return ["--no-" + flag[2:]]
    return [flag, value]


def run_cli(directory, arguments, check=True, json_output=False, stdin=None, seconds=60, **env):
    command = [str(binary("penstock")), *map(str, arguments), *(["--json"] if json_output else [])]
    started = time.monotonic()
    done = subprocess.run(command, input=stdin if stdin is not None else "", capture_output=True, text=True,
                          env=environment(directory, **env), cwd=directory, timeout=seconds * slowness(), check=False)
    with open(pathlib.Path(directory) / "cli.log", "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}  -> {done.returncode} in {time.monotonic() - started:.2f} s\n"
                  f"{done.stdout}{done.stderr}\n")
    assert not check or done.returncode == 0, \
        f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout) if json_output else done
