"""Tracking servers for tests: that of `make server`, and a proxy before it that fails as networks do."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import requests

from processes import LIMIT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(address: str) -> bool:
    """Return whether a server gives a page at this address."""
    try:
        return requests.get(address, timeout=30).status_code == 200
    except requests.ConnectionError:
        return False


class Server:
    """`python src/server.py` in a project of its own; the same port and data after it was stopped."""

    def __init__(self, project: Path) -> None:
        self.project, self.port, self.printed = project, free_port(), ""
        self.start()
        (self.password,) = re.findall(r"this once: (\S+)", self.printed)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, str(self.project / "src/server.py"), f"port={self.port}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed += line
            if "tracking=server" in line:
                return
        logs = [log.read_text()[-2000:] for log in (self.project / "server").glob("*.log")]
        self.kill()
        raise AssertionError("\n".join([self.printed, *logs]))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=LIMIT)

    def kill(self) -> None:
        """Kill whatever of it goes on, MLflow and PostgreSQL in their own sessions included."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self.process.kill()
        self.process.communicate()

    def lose_mlflow(self) -> str:
        """Kill MLflow under the server; return what the server says of that."""
        (mlflow,) = [child for child in psutil.Process(self.process.pid).children() if "mlflow" in child.cmdline()]
        os.killpg(mlflow.pid, signal.SIGKILL)
        said, _ = self.process.communicate(timeout=LIMIT)
        return str(said)

    def user(self, name: str, password: str) -> "requests.Session":
        """Return a new user's session."""
        answer = self.session("admin", self.password).post(
            f"{self.uri}/api/2.0/mlflow/users/create", json={"username": name, "password": password}
        )
        assert answer.status_code == 200, answer.text
        return self.session(name, password)

    def session(self, name: str, password: str) -> "requests.Session":
        session = requests.Session()
        session.auth = (name, password)
        return session


@contextlib.contextmanager
def running_server(project: Path) -> Iterator[Server]:
    """Yield a server that ends with the body, whatever happens in it."""
    server = Server(project)
    try:
        yield server
        server.stop()
    finally:
        server.kill()


def as_user(uri: str, name: str, password: str) -> Mapping[str, str]:
    """Return the environment of a command that logs to the server."""
    return {
        **os.environ,
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_TRACKING_USERNAME": name,
        "MLFLOW_TRACKING_PASSWORD": password,
    }


class Proxy:
    """Hand on what comes in to a port, until `mode` is `refuse`, `hang`, `cut` (an answer) or `error` (500)."""

    def __init__(self, target: int) -> None:
        self.target, self.port, self.mode, self.passed, self.failed = target, free_port(), "pass", 0, 0
        self.closed = False
        self._listen()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=True)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self.closed:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Serve one request a connection, as MLflow's client is told, so that a mode holds from the next request on."""
        with contextlib.suppress(OSError), client:
            request = self._read(client)
            mode = self.mode
            self.failed += mode != "pass"
            if mode == "refuse" or not request:
                return
            if mode == "hang":
                while self.mode == "hang" and not self.closed:
                    time.sleep(0.05)
                return
            if mode == "error":
                client.sendall(
                    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops"
                )
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                server.sendall(request)
                self.passed += 1
                answer = b"".join(iter(lambda: server.recv(65536), b""))
                # The server has done it, and the client does not hear of it.
                client.sendall(answer[: len(answer) // 2] if mode == "cut" else answer)

    def _read(self, client: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            part = client.recv(65536)
            if not part:
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        while length and len(body) < int(length[1]):
            body += client.recv(65536)
        head = (
            re.sub(rb"(?i)\r\n(connection|host): [^\r]*", b"", head)
            + f"\r\nHost: 127.0.0.1:{self.target}\r\nConnection: close".encode()
        )
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self.closed = True
        self._listener.close()


@contextlib.contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


def routes(server: Server) -> list[tuple[str, str]]:
    """Return every path and method in the server's own tables, of Flask and of FastAPI."""
    program = """
import json
from mlflow.server import auth
app = auth.create_app()
flask = [(rule.rule, method) for rule in auth.app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}]
def walk(routes, prefix=""):
    for route in routes:
        prefixed = prefix + getattr(getattr(route, "include_context", None), "prefix", "")
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        if inner is not None:
            yield from walk(inner, prefixed)
        for method in getattr(route, "methods", None) or []:
            yield prefixed + route.path, method
native = [(path, method) for path, method in walk(app.routes) if method not in ("HEAD", "OPTIONS")]
print(json.dumps(flask + native))
"""
    folder = server.project / "for_the_table"  # the server's own holds nothing that others may read
    folder.mkdir(exist_ok=True)
    authentication = folder / "authentication.ini"
    text = (server.project / "server" / "authentication.ini").read_text()
    authentication.write_text(re.sub("database_uri = .*", f"database_uri = sqlite:///{folder}/table.db", text))
    environment = {
        **os.environ,
        "PYTHONPATH": str(server.project / "src"),
        "MLFLOW_AUTH_CONFIG_PATH": str(authentication),
    }
    environment |= {
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "x",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "some password",
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    environment |= {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/table_runs.db",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return [(path, method) for path, method in json.loads(found.stdout.splitlines()[-1])]
