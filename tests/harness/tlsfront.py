"""A TLS front for the simulator, with certificates made when the test runs."""
import contextlib
import pathlib
import socket
import ssl
import subprocess
import threading


def openssl(*arguments, stdin=None):
    subprocess.run(["openssl", *map(str, arguments)], input=stdin, check=True, capture_output=True, text=True)


class Certificates:
    """A small authority in a directory; issue() makes a certificate it signed."""

    def __init__(self, directory):
        self.place = pathlib.Path(directory)
        self.place.mkdir(parents=True, exist_ok=True)
        self.authority = self.place / "ca.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=Test authority",
                "-keyout", self.place / "ca.key", "-out", self.authority)

    def issue(self, name, subject_alt_name="IP:127.0.0.1", expired=False):
        """Path of a PEM file with key and certificate."""
        key, request, cert = (self.place / f"{name}.{end}" for end in ("key", "csr", "crt"))
        extensions = self.place / f"{name}.ext"
        extensions.write_text(f"subjectAltName={subject_alt_name}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        if expired:
            database = self.place / "index.txt"
            database.write_text("")
            (self.place / "serial").write_text("01\n")
            config = self.place / "ca.cnf"
            config.write_text(f"[ca]\ndefault_ca=x\n[x]\ndatabase={database}\nserial={self.place}/serial\n"
                              f"new_certs_dir={self.place}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
            openssl("ca", "-batch", "-config", config, "-cert", self.authority, "-keyfile", self.place / "ca.key",
                    "-in", request, "-out", cert, "-extfile", extensions,
                    "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-notext")
        else:
            openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.place / "ca.key",
                    "-CAcreateserial", "-days", 2, "-extfile", extensions, "-out", cert)
        both = self.place / f"{name}.pem"
        both.write_text(key.read_text() + cert.read_text())
        return both


class TlsFront:
    """Listens with TLS and passes the bytes to a plain port of this machine."""

    def __init__(self, target_port, certificate):
        self.target_port = target_port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        with contextlib.suppress(OSError), plain:
            client = self.context.wrap_socket(plain, server_side=True)
            with socket.create_connection(("127.0.0.1", self.target_port)) as target:
                back = threading.Thread(target=self.copy, args=(target, client), daemon=True)
                back.start()
                self.copy(client, target)
                back.join(5)

    @staticmethod
    def copy(source, sink):
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()
