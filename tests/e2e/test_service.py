"""The server as the systemd unit that is shipped runs it: what is installed where, and that what the unit forbids is
nothing that the server needs."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from harness import Server, programs, unit, wait_until
from harness.programs import BUILD, ROOT
from harness.setup import connect_to, new_organization, wait_sync

UNIT = BUILD / "packaging/penstock.service"


def test_what_is_installed_belongs_together():
    done = subprocess.run(["meson", "introspect", "--installed", BUILD], capture_output=True, text=True, check=True)
    installed = {pathlib.Path(source).name: pathlib.Path(target) for source, target in json.loads(done.stdout).items()}
    service = unit.settings(UNIT.read_text())["ExecStart"][0]
    assert service == f"{installed['penstock']} serve"
    assert installed["penstock.service"].match("lib/systemd/system/penstock.service")
    assert installed["penstock.sysusers"].match("lib/sysusers.d/penstock.conf")


def test_the_unit_runs_as_the_account_that_is_made():
    settings = unit.settings(UNIT.read_text())
    account = (ROOT / "packaging/penstock.sysusers").read_text()
    assert settings["User"] == settings["Group"] == ["penstock"] and "\nu penstock " in account


@pytest.mark.skipif(programs.SANITIZER is not None or "coverage" in BUILD.name,
                    reason="a build that writes reports stays outside of its own sandbox")
@pytest.mark.parametrize("machine", ["systemd 252", "this one"])
def test_the_server_needs_nothing_that_the_unit_forbids(place, sim, machine):
    if machine == "this one" and not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here to ask for its groups of system calls")
    known = unit.groups(unit.OLDEST.read_text()) if machine == "systemd 252" else unit.groups_of_this_machine()
    settings = unit.settings(UNIT.read_text())
    if os.geteuid() == 0:
        settings["SystemCallFilter"].append("fchown")  # SQLite calls it as root, which the service is not
    server = Server(place)
    # By name: such a listener asks for the machine's addresses.
    command = ["localhost:0" if word == "127.0.0.1:0" else word for word in server.command]
    with open(server.log_path, "wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                 env=server.env, cwd=place, preexec_fn=lambda: unit.confine(settings, known))
    try:
        wait_until(lambda: child.poll() is not None or server.log_lines(msg="serving"), "the server to serve")
        assert child.poll() is None, f"ended with {child.poll()}: {server.log()[-2000:]}"
        assert server.log_lines(msg="sandbox")[0]["system_calls"] == "restricted"
        server.url = f"http://localhost:{server.log_lines(msg='serving')[0]['port']}"
        api = server.api(new_organization(server))
        assert wait_sync(api, connect_to(api, sim))["status"] == "completed"
        child.terminate()
        assert child.wait(programs.STOP_SECONDS) == 0
    finally:
        child.kill()
        child.wait()
