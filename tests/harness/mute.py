"""A system that takes connections and says nothing, or a little and never its whole answer."""
import contextlib
import select
import socket
import threading

EVERY = 0.2  # seconds between two drips


class Mute:
    """first: what each connection is told at once; drip: what it is told now and then, for ever. With
    neither it is silent, in the middle of a TLS handshake as well."""

    def __init__(self, first=b"", drip=b"", port=0):
        self.first, self.drip = first, drip
        self.taken = 0  # connections so far
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def run(self):
        with contextlib.ExitStack() as open_ones:
            open_ones.enter_context(self.listener)
            clients = []
            while not self.ending.is_set():
                if select.select([self.listener], [], [], EVERY)[0]:
                    client = open_ones.enter_context(self.listener.accept()[0])
                    self.taken += 1
                    self.tell(client, self.first)
                    clients.append(client)
                    continue
                clients = [client for client in clients if self.tell(client, self.drip)]

    @staticmethod
    def tell(client, words):
        """Whether the other side still listens, as far as one knows."""
        with contextlib.suppress(OSError):
            client.sendall(words)
            return True
        return False
