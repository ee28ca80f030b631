"""HTTP/1.1 as bytes: a client that sends what no library would, and reads answers strictly.

Connection is for single conversations. converse() holds many at a time, each on a connection of
its own, until the server closes it or is silent.
"""
import asyncio
import select
import socket
from dataclasses import dataclass, field

HEAD_MAX = 64 << 10
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; Python has no name for it


@dataclass
class Answer:
    """One answer as it was sent. head: status line and headers with their line ends."""
    status: int
    headers: list
    body: bytes
    head: bytes
    informational: list = field(default_factory=list)  # statuses of 1xx before it

    def header(self, name):
        """The value of a header that stands at most once; None without it."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} stands {len(found)} times in {self.head!r}"
        return found[0] if found else None

    @property
    def closes(self):
        return (self.header("Connection") or "").lower() == "close"


class Garbled(AssertionError):
    """What came is not HTTP, or not all of it came."""


def parse_head(head):
    """status and headers of `head`, held to the grammar."""
    lines = head.decode("latin-1").split("\r\n")
    if lines[-2:] != ["", ""] or not lines[0].startswith("HTTP/1.1 "):
        raise Garbled(f"not an answer's head: {head[:200]!r}")
    words = lines[0].split(" ", 2)
    if len(words) != 3 or not (len(words[1]) == 3 and words[1].isdigit()):
        raise Garbled(f"not a status line: {lines[0]!r}")
    headers = []
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon or not name or name.strip() != name or "\n" in line or "\r" in line:
            raise Garbled(f"not a header line: {line!r}")
        headers.append((name, value.strip()))
    return int(words[1]), headers


def take_chunks(data):
    """The decoded body and the bytes behind it; None while it is not whole."""
    body = b""
    while True:
        size_line, found, rest = data.partition(b"\r\n")
        if not found:
            return None
        size = int(size_line, 16)
        if len(rest) < size + 2:
            return None
        if rest[size:size + 2] != b"\r\n":
            raise Garbled(f"a chunk of {size} bytes is not followed by CR LF")
        body, data = body + rest[:size], rest[size + 2:]
        if size == 0:
            return body, data


def take_answer(data, bodyless=False, ended=False):
    """The first answer in data and the bytes behind it; None while it is not whole. bodyless: it
    answers a HEAD. ended: no more bytes will come."""
    informational = []
    while True:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > HEAD_MAX or (ended and data):
                raise Garbled(f"no end of a head in {data[:200]!r}")
            return None
        status, headers = parse_head(data[:end + 4])
        if status >= 200:
            break
        informational.append(status)
        data = data[end + 4:]
    head, rest = data[:end + 4], data[end + 4:]
    answer = Answer(status, headers, b"", head, informational)
    if bodyless or status in (204, 304):
        return answer, rest
    if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
        taken = take_chunks(rest)
        if not taken and ended:
            raise Garbled("a chunked body is cut short")
        if not taken:
            return None
        answer.body, rest = taken
        return answer, rest
    length = answer.header("Content-Length")
    if length is None:
        if not ended:
            return None
        answer.body = rest
        return answer, b""
    if len(rest) < int(length):
        if ended:
            raise Garbled("a body is cut short")
        return None
    answer.body, rest = rest[:int(length)], rest[int(length):]
    return answer, rest


def take_answers(data, bodyless=lambda i: False):
    """All answers of a closed connection."""
    answers = []
    while data:
        answer, data = take_answer(data, bodyless(len(answers)), ended=True)
        answers.append(answer)
    return answers


def bind_address(one, address):
    """Only the address: the port is chosen as it connects, so that those which wait for their time to
    pass after other connections can be taken again for another server."""
    one.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    one.bind((address, 0))


class Connection:
    """One TCP connection (or to a unix socket, when `port` is a path)."""

    def __init__(self, port, timeout=30, source=None, receive_buffer=None):
        local = not isinstance(port, int)
        self.socket = socket.socket(socket.AF_UNIX if local else socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            bind_address(self.socket, source)
        self.socket.connect(str(port) if local else ("127.0.0.1", port))
        if not local:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def answered(self):
        """Whether anything has come, the end included."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def send(self, data, cuts=()):
        """All of data, as one write for each piece between the cuts. A server may have refused
        and closed meanwhile: its answer tells."""
        places = [0, *sorted(cuts), len(data)]
        try:
            for begin, end in zip(places, places[1:]):
                self.socket.sendall(data[begin:end])
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def more(self):
        """False when the server has closed."""
        try:
            got = self.socket.recv(1 << 16)
        except ConnectionResetError:
            got = b""
        self.data += got
        return bool(got)

    def read(self, bodyless=False):
        """The next answer; None when the server has closed instead."""
        while True:
            taken = take_answer(self.data, bodyless)
            if taken:
                answer, self.data = taken
                return answer
            if not self.more():
                if not self.data:
                    return None
                answer, self.data = take_answer(self.data, bodyless, ended=True)
                return answer

    def ask(self, data, cuts=(), bodyless=False):
        return self.send(data, cuts).read(bodyless)

    def rest(self):
        """Everything until the server closes."""
        while self.more():
            pass
        return self.data


@dataclass
class Conversation:
    """What one connection of converse() came to."""
    sent: bytes
    received: bytes
    closed: bool  # by the server, before the time was up
    source: str  # our address


async def one_conversation(port, data, seconds, source):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    received = bytearray()
    closed = False

    async def listen():
        nonlocal closed
        try:
            while got := await reader.read(1 << 16):
                received.extend(got)
        except ConnectionError:
            pass
        closed = True

    async def talk():
        try:
            writer.write(data)
            await writer.drain()
        except ConnectionError:
            pass

    try:
        await asyncio.wait_for(asyncio.gather(listen(), talk()), seconds)
    except asyncio.TimeoutError:
        pass
    writer.close()
    return Conversation(data, bytes(received), closed, source)


def converse(port, messages, seconds, at_a_time=64):
    """Send each message on a connection of its own and listen until the server closes it, at most
    `seconds`. Each comes from an address of its own, so that a server's log can tell them apart.
    Returns the conversations in order."""
    async def run():
        gate = asyncio.Semaphore(at_a_time)

        async def gated(number, data):
            async with gate:
                source = f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"
                return await one_conversation(port, data, seconds, source)
        return await asyncio.gather(*(gated(number, data) for number, data in enumerate(messages)))
    return asyncio.run(run())
