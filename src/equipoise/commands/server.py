"""A tracking server on this machine: MLflow on PostgreSQL with users and permissions, artifacts kept by the server.

  python src/server.py               on http://127.0.0.1:5000, until Ctrl-C
  python src/server.py port=5001     on another port
  python src/server.py hosts=mlflow.example.org   also for requests that a TLS proxy hands on under this name
  python src/server.py artifacts=s3://bucket/folder   the server keeps artifacts in an S3 store

The database and the artifacts lie in server/. The password of `admin` is made at the first start and printed once.
The server listens on loopback alone; docs/server.md says how to add users and how to put TLS in front.
"""

import contextlib
import errno
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.locks import locked
from equipoise.core.paths import project_root

SYSTEM_USER = "postgres"  # made by Debian's package; PostgreSQL does not run as root
DEBIAN = Path("/usr/lib/postgresql")  # where Debian's package keeps PostgreSQL's own programs, off the path
LAST_PORT = 65535
STARTED_WITHIN = 180  # seconds
AUTHENTICATION = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {uri}
admin_username = admin
authorization_function = equipoise.tracking.authorization:authenticate
# The function remembers a password that it has checked only until the user has another one.
auth_cache_ttl_seconds = 0
"""
# Where a registered model's files may lie: among the server's own artifacts. MLflow would also take any bucket that the
# server may read. The last two stand for no file; prompts have them.
SOURCES = r"^(mlflow-artifacts:/(?!/)|runs:/|models:/)|^(dummy-source|prompt-template)$"


def _start(words: Sequence[str]) -> None:
    # What a shell puts in the background would ignore the first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    os.umask(0o077)  # for all files that this process and its children write: logs, artifacts
    try:
        options = key_values.read(words, ["port", "hosts", "artifacts"])
        port = key_values.whole_number(options, "port") or 5000
        check_port(port)
        folder, programs = project_root() / "server", postgresql_programs()
        artifacts = place_of_artifacts(options, folder)
        _check_owner(folder)
        folder.mkdir(exist_ok=True)
        with locked(folder / ".lock", 0), postgresql(programs, folder) as database:
            _serve(database, port, options.get("hosts", ""), artifacts)
    except KeyboardInterrupt:
        print("\nstopped")


def check_port(port: int) -> None:
    if port > LAST_PORT:
        raise ConfigError(f"port={port}: the last one is {LAST_PORT}")
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        other = f"choose another: port={5001 if port == 5000 else 5000}"
        if error.errno != errno.EADDRINUSE:
            raise ConfigError(f"port={port} cannot be listened on ({os.strerror(error.errno or 0)}): {other}") from None
        raise ConfigError(f"port={port} is taken{_listener(port)}; or {other}") from None


def place_of_artifacts(options: Mapping[str, str], folder: Path) -> str:
    """Return where the server keeps artifacts: in its own folder, or in an S3 store."""
    typed = options.get("artifacts")
    if typed is None:
        return str(folder / "artifacts")
    if not re.match(r"s3://[^/]", typed):
        raise ConfigError(
            f"artifacts={typed}: name a place in an S3 store, artifacts=s3://bucket/folder, or leave it out"
        )
    if find_spec("boto3") is None:
        raise ConfigError(
            f"artifacts={typed}: MLflow needs boto3 to reach it: make setup EXTRA=s3, or pip install boto3"
        )
    return typed


def _listener(port: int) -> str:
    """Say who listens, and how to end it: with its whole group, since a server starts its workers anew."""
    with contextlib.suppress(psutil.Error, OSError):  # another user's processes are not shown
        for found in psutil.net_connections("tcp"):
            if found.pid and found.laddr and found.laddr.port == port and found.status == psutil.CONN_LISTEN:
                group = os.getpgid(found.pid)
                command = shlex.join(psutil.Process(group).cmdline())[:100]
                return f" by process {group} ({command} …), which this ends: kill -- -{group}"
    return " by another program"


@contextlib.contextmanager
def _running(
    command: Sequence[str], ended_by: signal.Signals, log: Path, **how: Any
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a program that ends, with all that it starts, when the body or this process does, even if that is killed."""
    with open(log, "a") as opened:
        process = subprocess.Popen(command, stdout=opened, stderr=opened, start_new_session=True, **how)
    # Nothing is written into its input, which ends when this process ends, for whatever reason.
    watch = ["sh", "-c", 'read -r _; kill -s "$1" -- "-$2"', "sh", ended_by.name.removeprefix("SIG"), str(process.pid)]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True) as watching:
        try:
            yield process
        finally:
            watching.kill()
            if process.poll() is None:
                os.killpg(process.pid, ended_by)
                process.wait(60)


@contextlib.contextmanager
def postgresql(programs: Path, folder: Path) -> Iterator[str]:
    """Run the database server, behind a socket that only its owner may use.

    Yields SQLAlchemy's address, with `{name}` for the database's name.
    """
    data, root, owner = folder / "postgresql", os.getuid() == 0, _owner()
    keep_private(folder, passable=root)
    with tempfile.TemporaryDirectory(prefix="equipoise-") as place:
        if root:
            data.mkdir(exist_ok=True)
            for owned in (data, Path(place)):
                shutil.chown(owned, SYSTEM_USER, SYSTEM_USER)
        check_abandoned(data)
        if not (data / "PG_VERSION").exists():
            make = [
                str(programs / "initdb"),
                "-D",
                str(data),
                *["-U", "mlflow", "-A", "trust", "-E", "UTF8", "--no-locale"],
            ]
            found = subprocess.run(make, cwd="/", capture_output=True, text=True, check=False, **owner)
            if found.returncode:
                raise ConfigError(f"PostgreSQL's database cannot be made: {found.stderr.strip()}")
        # No TCP: the socket's folder is open to its owner alone. On SIGINT, PostgreSQL ends at once and in order.
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={place}"]
        serve = [str(programs / "postgres"), "-D", str(data), *options]
        with _running(serve, signal.SIGINT, folder / "postgresql.log", cwd="/", **owner) as process:
            _make_databases(place, process, folder)
            yield f"postgresql+psycopg2://mlflow@/{{name}}?host={place}"


def _owner() -> dict[str, Any]:
    """Return the user whom PostgreSQL's programs run as, if this is root: as root they refuse to run."""
    return {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []} if os.getuid() == 0 else {}


def _check_owner(folder: Path) -> None:
    """Make sure that PostgreSQL's own user can reach the folder, which does not exist yet."""
    above, owner = folder.resolve().parent, _owner()
    if owner and subprocess.run(["test", "-x", str(above)], cwd="/", check=False, **owner).returncode:
        raise ConfigError(
            f"PostgreSQL does not run as root, and the user {SYSTEM_USER} may not enter {above}: "
            "run this as an ordinary user"
        )


def keep_private(folder: Path, *, passable: bool) -> None:
    """Close to other users the folder and what is in it; only PostgreSQL's own user must get through."""
    (folder / "artifacts").mkdir(exist_ok=True)
    folder.chmod(0o711 if passable else 0o700)
    for path in folder.iterdir():
        if path.name != "postgresql":  # PostgreSQL sets the modes in it
            path.chmod(0o700 if path.is_dir() else 0o600)


def check_abandoned(data: Path) -> None:
    """Refuse to start beside the PostgreSQL of an earlier server.py that was killed with what should have ended it."""
    number, running = data / "postmaster.pid", False
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
        process = psutil.Process(int(number.read_text().split()[0]))
        running = process.name() == "postgres"
    if running:
        raise ConfigError(
            f"PostgreSQL of an earlier server still runs on {data}, as process {process.pid}, which this ends: "
            f"kill -INT {process.pid}"
        )


def postgresql_programs() -> Path:
    """Return the folder of PostgreSQL's own programs."""
    found = shutil.which("initdb")
    folders = (
        [Path(found).resolve().parent]
        if found
        else sorted(DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name))
    )
    if not folders:
        raise ConfigError("PostgreSQL is not installed: make system, or your system's package for it")
    return folders[-1]


def _make_databases(socket: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Wait for PostgreSQL, and make the databases for runs and for users unless they exist."""
    import psycopg2

    for _ in range(STARTED_WITHIN * 10):
        if process.poll() is not None:
            break
        with (
            contextlib.suppress(psycopg2.OperationalError),
            contextlib.closing(psycopg2.connect(host=socket, user="mlflow", dbname="postgres")) as connection,
        ):
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute("SELECT datname FROM pg_database")
            for name in {"mlflow", "mlflow_auth"} - {name for (name,) in cursor.fetchall()}:
                cursor.execute(f"CREATE DATABASE {name}")
            return
        time.sleep(0.1)
    raise ConfigError(f"PostgreSQL does not start: see {folder / 'postgresql.log'}")


def _serve(database: str, port: int, hosts: str, artifacts: str) -> None:
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
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "MLFLOW_AUTH_CONFIG_PATH": str(authentication),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": key.read_text(),
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",  # requests without a rule are forbidden
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # these are for language models, and cost seven processes
        "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": SOURCES,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    environment |= {"MLFLOW_AUTH_ADMIN_PASSWORD": password} if password else {}
    command = [
        sys.executable,
        *["-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "2", "--serve-artifacts"],
    ]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", database.format(name="mlflow")]
    command += ["--artifacts-destination", artifacts]
    command += ["--allowed-hosts", ",".join(names), "--cors-allowed-origins", ",".join(origins)]
    print("Starting MLflow …", flush=True)
    with _running(command, signal.SIGTERM, folder / "mlflow.log", env=environment) as process:
        wait_for_mlflow(process, port, folder)
        _introduce(port, password)
        process.wait()
        raise ConfigError(f"MLflow has ended: see {folder / 'mlflow.log'}")


def wait_for_mlflow(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
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
    address = f"MLFLOW_TRACKING_URI=http://127.0.0.1:{port}"
    print(f"To log to it:\n  export {address} MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…")
    print(f"  {command('train')} tracking=server", flush=True)


def _has_admin(database: str) -> bool:
    import sqlalchemy

    engine = sqlalchemy.create_engine(database.format(name="mlflow_auth"))
    with engine.connect() as connection:
        return sqlalchemy.inspect(connection).has_table("users") and bool(
            connection.execute(sqlalchemy.text("SELECT 1 FROM users WHERE is_admin")).first()
        )


def _write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner may read, from the first byte on."""
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, _start)
