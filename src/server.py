"""A tracking server on this machine: MLflow on PostgreSQL with users and permissions, artifacts kept by the server.

  python src/server.py               on http://127.0.0.1:5000, until Ctrl-C
  python src/server.py port=5001     on another port
  python src/server.py hosts=mlflow.example.org   also for requests that a TLS proxy hands on under this name

All that it keeps lies in server/: the database, the artifacts. The password of `admin` is made at the first start and
printed once. It listens on loopback alone; docs/server.md says how to add users and how to put TLS in front.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from equipoise import key_values
from equipoise.options import ConfigError
from equipoise.paths import project_root

SYSTEM_USER = "postgres"  # whom Debian's package makes; PostgreSQL does not run as root
DEBIAN = Path("/usr/lib/postgresql")  # whose package keeps PostgreSQL's own programs off the path
STARTED_WITHIN = 180  # seconds
AUTHENTICATION = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {uri}
admin_username = admin
authorization_function = equipoise.authorization:authenticate
# Checking a password takes a tenth of a second, and a run makes hundreds of requests.
auth_cache_ttl_seconds = 60
"""


def _start(words: Sequence[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # the former is ignored by what a shell puts in the background
        signal.signal(number, signal.default_int_handler)
    try:
        options = key_values.read(words, ["port", "hosts"])
        port = int(key_values.number(options, "port") or 5000)
        with _postgresql(project_root() / "server") as database:
            _serve(database, port, options.get("hosts", ""))
    except KeyboardInterrupt:
        print("\nstopped")


@contextlib.contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    """The database server, reachable through a socket that only its owner may enter; gives SQLAlchemy's address with a place for the name."""
    programs = _programs()
    data, root = folder / "postgresql", os.getuid() == 0
    folder.mkdir(exist_ok=True)
    become = ["runuser", "-u", SYSTEM_USER, "--"] if root else []
    with tempfile.TemporaryDirectory(prefix="equipoise-") as socket:
        if root:
            data.mkdir(exist_ok=True)
            for owned in (data, Path(socket)):
                shutil.chown(owned, SYSTEM_USER, SYSTEM_USER)
            if subprocess.run([*become, "test", "-x", str(data)], cwd="/", check=False).returncode:
                raise ConfigError(f"PostgreSQL does not run as root, and the user {SYSTEM_USER} may not enter {data}: run this as an ordinary user")
        if not (data / "PG_VERSION").exists():
            made = [*become, str(programs / "initdb"), "-D", str(data), "-U", "mlflow", "-A", "trust", "-E", "UTF8", "--no-locale"]
            found = subprocess.run(made, cwd="/", capture_output=True, text=True, check=False)
            if found.returncode:
                raise ConfigError(f"PostgreSQL's database cannot be made: {found.stderr.strip()}")
        # No TCP: the socket's folder is open to its owner alone.
        serve = [*become, str(programs / "postgres"), "-D", str(data), "-c", "listen_addresses=", "-c", f"unix_socket_directories={socket}"]
        with open(folder / "postgresql.log", "a") as log:
            process = subprocess.Popen(serve, cwd="/", stdout=log, stderr=log, start_new_session=True)
        try:
            _make_databases(socket, process, folder)
            yield f"postgresql+psycopg2://mlflow@/{{name}}?host={socket}"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)  # PostgreSQL's way to say: at once, and in order
                process.wait(60)


def _programs() -> Path:
    """Where PostgreSQL's own programs are."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not folders:
        raise ConfigError("PostgreSQL is not installed: make system, or your system's package for it")
    return folders[-1]


def _make_databases(socket: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Once PostgreSQL answers: one for runs, one for users, unless they are there."""
    import psycopg2

    for _ in range(STARTED_WITHIN * 10):
        if process.poll() is not None:
            break
        with contextlib.suppress(psycopg2.OperationalError), contextlib.closing(psycopg2.connect(host=socket, user="mlflow", dbname="postgres")) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute("SELECT datname FROM pg_database")
            for name in {"mlflow", "mlflow_auth"} - {name for (name,) in cursor.fetchall()}:
                cursor.execute(f"CREATE DATABASE {name}")
            return
        time.sleep(0.1)
    raise ConfigError(f"PostgreSQL does not start: see {folder / 'postgresql.log'}; is another server running on this folder?")


def _serve(database: str, port: int, hosts: str) -> None:
    folder = project_root() / "server"
    authentication = folder / "authentication.ini"
    _write_secret(authentication, AUTHENTICATION.format(uri=database.format(name="mlflow_auth")))
    key = folder / "secret_key"
    if not key.exists():
        _write_secret(key, secrets.token_hex(32))
    password = None if _has_admin(database) else secrets.token_urlsafe(18)
    names = [f"{host}:{port}" for host in ("127.0.0.1", "localhost")] + [host for host in hosts.split(",") if host]
    origins = [f"http://{name}" for name in names[:2]] + [f"https://{name}" for name in names[2:]]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "MLFLOW_AUTH_CONFIG_PATH": str(authentication),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": key.read_text(),
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",  # what has no rule is forbidden
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # for language models; seven processes and half a minute
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    environment |= {"MLFLOW_AUTH_ADMIN_PASSWORD": password} if password else {}
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    command += ["--backend-store-uri", database.format(name="mlflow"), "--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"]
    command += ["--allowed-hosts", ",".join(names), "--cors-allowed-origins", ",".join(origins)]
    print("Starting MLflow …", flush=True)
    with open(folder / "mlflow.log", "a") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(process, port, folder)
        _introduce(port, password)
        process.wait()
        raise ConfigError(f"MLflow has ended: see {folder / 'mlflow.log'}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def _wait(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    for _ in range(STARTED_WITHIN * 2):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return
        time.sleep(0.5)
    raise ConfigError(f"MLflow does not start on port {port}: see {folder / 'mlflow.log'}")


def _introduce(port: int, password: str | None) -> None:
    print(f"MLflow answers on http://127.0.0.1:{port} (Ctrl-C ends it; docs/server.md: users, TLS)")
    if password:
        print(f"The user is admin, and the password, which is shown this once: {password}")
    print(f"To log to it:\n  export MLFLOW_TRACKING_URI=http://127.0.0.1:{port} MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…")
    print("  python src/train.py tracking=server", flush=True)


def _has_admin(database: str) -> bool:
    import sqlalchemy

    engine = sqlalchemy.create_engine(database.format(name="mlflow_auth"))
    with engine.connect() as connection:
        return sqlalchemy.inspect(connection).has_table("users") and bool(connection.execute(sqlalchemy.text("SELECT 1 FROM users WHERE is_admin")).first())


def _write_secret(file: Path, text: str) -> None:
    """For its owner's eyes alone, from the first byte."""
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


if __name__ == "__main__":
    sys.exit(key_values.answer(sys.argv[1:], __doc__, _start))
