"""Clients that hold on to a server's connections, many at a time, in a process of their own: the four
ways of a slow-HTTP attack, and such as are only idle.

Each way says what a socket sends first and then now and then. What became of every socket (how long the
server kept it, what it said) comes back when all are gone or the time is up.
"""
import multiprocessing
import resource
import select
import socket
import time
from dataclasses import dataclass

from harness.raw import bind_address

EVERY = 0.25  # seconds between the trickled bytes of a socket


@dataclass
class Way:
    first: bytes
    trickle: bytes = b""  # sent every EVERY seconds
    reads: bool = True  # whether answers are read
    receive_buffer: int = 0


@dataclass
class Held:
    """One socket: seconds from the connect to its end, what the server said, and whether it was the
    server that ended it."""
    seconds: float
    said: bytes
    ended: bool


def raise_descriptors():
    """As many descriptors as may be had; returns how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Socket:
    def __init__(self, port, way, source):
        self.way, self.said = way, b""
        self.socket = socket.socket()
        if way.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, way.receive_buffer)
        bind_address(self.socket, source)
        self.begun = time.monotonic()
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.next = self.begun + EVERY
        self.send(way.first)

    def send(self, data):
        try:
            if data:
                self.socket.send(data)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def heard(self):
        """Something is to be read: False when the server has ended the connection."""
        try:
            got = self.socket.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            got = b""
        self.said += got
        return bool(got)

    def result(self, ended):
        self.socket.close()
        return Held(time.monotonic() - self.begun, self.said, ended)


def hold(port, ways, count, seconds, pipe):
    """Body of the process. Tells the pipe "open" when all are connected, then the list of Held."""
    raise_descriptors()
    watched = select.epoll()
    held = []
    sockets = {}  # by descriptor

    def gone(one, ended):
        watched.unregister(one.socket)
        del sockets[one.socket.fileno()]
        held.append(one.result(ended))

    for number in range(count):
        # Not more than 200 of one address, below the server's limit.
        one = Socket(port, ways[number % len(ways)], f"127.7.{number // 200 // 200}.{1 + number // 200 % 200}")
        watched.register(one.socket, select.EPOLLIN if one.way.reads else 0)  # its end is always told
        sockets[one.socket.fileno()] = one
    pipe.send("open")
    until = time.monotonic() + seconds
    while sockets and time.monotonic() < until and not pipe.poll():
        for descriptor, _ in watched.poll(0.05):
            one = sockets[descriptor]
            if not (one.way.reads and one.heard()):
                gone(one, True)
        now = time.monotonic()
        for one in list(sockets.values()):
            if one.next <= now:
                one.next = now + EVERY
                if not one.send(one.way.trickle):
                    gone(one, True)
    for one in list(sockets.values()):
        gone(one, False)
    pipe.send(held)


class Crowd:
    """`count` sockets in a process of their own, of the ways in turn. ended() waits for all of them to
    be gone, release() lets go of them; both return the list of Held."""

    def __init__(self, port, ways, count, seconds):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=hold, args=(port, ways, count, seconds, theirs))
        self.process.start()
        theirs.close()
        self.seconds = seconds
        assert self.get(60) == "open"

    def get(self, seconds):
        assert self.pipe.poll(seconds), "the crowd says nothing"
        return self.pipe.recv()

    def done(self):
        return self.pipe.poll()

    def ended(self):
        held = self.get(self.seconds + 60)
        self.process.join()
        return held

    def release(self):
        self.pipe.send("enough")
        return self.ended()

    def kill(self):
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
