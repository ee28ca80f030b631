"""Fixtures of the end-to-end tests: the real simulator and server in a directory per test, looked
through at the end for sanitizer reports and leaked secrets."""
import functools
import pathlib
import re
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from harness import Server, Simulator  # noqa: E402  (after the path is set)
from harness.hooks import check_stores  # noqa: E402
from harness.programs import sanitizer_reports  # noqa: E402
from harness.receiver import Receiver  # noqa: E402
from harness.setup import new_organization  # noqa: E402

# Text that must never appear in what Penstock writes for people: its logs and its commands' output.
SECRETS = {Simulator.PASSWORD}
KEY = re.compile(rb"\b(?:(?:psk|pct)_[0-9a-z]{30,}|wh(?:sec|sk)_[0-9A-Za-z+/]{24,})")


def pytest_configure(config):
    # A shell that runs this in the background has SIGINT ignored, and programs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "threads: exercises several threads; part of the TSan run")


# Files all of whose tests have syncs, the scheduler, long-polls and requests run side by side.
THREADED_FILES = {"test_changes.py", "test_operation.py", "test_properties.py", "test_sync.py", "test_webhooks.py"}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in THREADED_FILES:
            item.add_marker("threads")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of every log of its directory."""
    outcome = yield
    report = outcome.get_result()
    setattr(item, "report_" + report.when, report)
    if report.failed and "place" in getattr(item, "funcargs", {}):
        for log in sorted(item.funcargs["place"].rglob("*.log")):
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            report.sections.append((log.name, tail))


def leaks(directory):
    """Secrets in logs and outputs, and passwords in clear in the store or its backups."""
    found = []
    for path in sorted(pathlib.Path(directory).rglob("*")):
        if not path.is_file() or path.name.startswith("peoplesim") or path.suffix not in (".log", ".db", ".db-wal"):
            continue
        content = path.read_bytes()
        found += [f"{path.name} has the secret '{secret[:6]}...'" for secret in SECRETS if secret.encode() in content]
        if path.name.startswith("penstock") and path.suffix == ".log":
            found += [f"{path.name} has the key {key[:8].decode()}..." for key in KEY.findall(content)]
        if path.suffix != ".log" and b"whsec_" in content:
            found.append(f"{path.name} has the secret of a webhook in clear")
    return found


def examine(directory, types):
    problems = sanitizer_reports(directory) + leaks(directory)
    assert not problems, "\n".join(problems)
    check_stores(directory, types)


@pytest.fixture(scope="session")
def event_types(tmp_path_factory):
    """A function that gives what GET /v1/event-types says; the events of all tests are held to it."""

    @functools.cache
    def types():
        server = Server(tmp_path_factory.mktemp("types")).start()
        try:
            return server.api(new_organization(server)).get("/v1/event-types")["data"]
        finally:
            server.stop()

    return types


@pytest.fixture
def place(tmp_path, event_types):
    """The test's directory. Whatever a program wrote there is examined after the test."""
    yield tmp_path
    examine(tmp_path, event_types)


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory, event_types):
    """A directory for all tests of a file, examined after the last one."""
    directory = tmp_path_factory.mktemp("shared")
    yield directory
    examine(directory, event_types)


@pytest.fixture
def programs(place):
    """Starts programs and ends them after the test; a clean stop is part of every test."""
    started = []

    def start(program, **how):
        started.append(program)
        return program.start(**how)

    yield start
    failures = []
    for program in reversed(started):
        try:
            program.stop(expect=0)
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


@pytest.fixture
def sim(programs, place):
    """A small simulator with two business units."""
    return programs(Simulator(place / "sim"))


@pytest.fixture
def server(programs, place):
    """An empty server."""
    return programs(Server(place))


@pytest.fixture
def hooks():
    """A receiver of webhooks; whatever was wrong with a delivery fails the test at its end."""
    receiver = Receiver()
    yield receiver
    receiver.close()
    receiver.check()
