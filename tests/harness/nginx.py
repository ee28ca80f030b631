"""nginx in a directory of its own, from a configuration of the test's; Debian's package."""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess

from .wait import wait_until

COMMON = """
worker_processes 1;
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.txt info;
{user}
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    log_format each escape=json '{{"server":"$server_name","client":"$remote_addr",'
        '"method":"$request_method","uri":"$request_uri",'
        '"status":$status,"upstream":"$upstream_status","line":"$request"}}';
    access_log {place}/access.txt each;
    {http}
}}
"""


def free_ports(count):
    """TCP ports on 127.0.0.1 that nobody listens on, below those that outgoing connections take."""
    ports = []
    while len(ports) < count:
        with socket.socket() as probe:
            port = random.randrange(15_000, 32_000)
            if port not in ports and probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.append(port)
    return ports


class Nginx:
    """http: what stands inside the http block; ports: those it listens on."""

    def __init__(self, place, http, ports):
        self.place = pathlib.Path(place)
        self.place.mkdir(parents=True)
        self.ports = ports
        user = "user root;" if os.geteuid() == 0 else ""
        (self.place / "nginx.conf").write_text(COMMON.format(place=self.place, user=user, http=http))
        self.child = None

    def start(self):
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        with open(self.place / "output.txt", "wb") as output:
            self.child = subprocess.Popen([binary, "-p", self.place, "-e", self.place / "error.txt", "-c", self.place / "nginx.conf"],
                                          stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(self.listens, "nginx to listen", 10)
        return self

    def listens(self):
        assert self.child.poll() is None, (self.place / "error.txt").read_text()
        for port in self.ports:
            socket.create_connection(("127.0.0.1", port), 1).close()
        return True

    def stop(self):
        """Requests in hand are finished first."""
        self.child.send_signal(signal.SIGQUIT)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.terminate()
            self.child.wait()

    def requests(self, **want):
        """The logged requests in which every given member has the given value, in order."""
        lines = [json.loads(line) for line in (self.place / "access.txt").read_text("latin-1").splitlines()]
        return [line for line in lines if all(line[key] == value for key, value in want.items())]
