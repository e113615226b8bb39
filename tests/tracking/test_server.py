"""The tracking server of `make server`: who may do what, through every endpoint that its own tables hold."""

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from equipoise.commands import server as program
from equipoise.core.errors import ConfigError
from equipoise.tracking.store import open_store
from helpers import REPOSITORY
from processes import Processes
from servers import Server, as_user, free_port, routes

pytestmark = pytest.mark.slow

WITHIN = 10  # seconds
SECRET = "only-ada-knows"  # in all that Ada keeps, and in no request of another's
PUBLIC = {"/", "/health", "/version", "/favicon.ico", "/static-files/<path:path>"} | {
    f"{kind}/3.0/mlflow/server-info" for kind in ("/api", "/ajax-api")
}


@pytest.fixture(scope="module")
def ada(server: Server) -> requests.Session:
    return server.user("ada", "ada's password")


@pytest.fixture(scope="module")
def bob(server: Server) -> requests.Session:
    return server.user("bob", "bob's password")


@pytest.fixture(scope="module")
def hers(server: Server, ada: requests.Session) -> dict[str, Any]:
    """Ada's experiment with a run, an artifact, a model, a trace: the fields of requests that name them."""

    def post(path: str, **body: Any) -> Any:
        answer = ada.post(f"{server.uri}/api/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    experiment = post("2.0/mlflow/experiments/create", name="ada's", tags=[{"key": "note", "value": SECRET}])[
        "experiment_id"
    ]
    run = post(
        "2.0/mlflow/runs/create", experiment_id=experiment, run_name=SECRET, tags=[{"key": "note", "value": SECRET}]
    )["run"]["info"]["run_id"]
    metric = {"key": SECRET, "value": 1.0, "timestamp": 1, "step": 0}
    post("2.0/mlflow/runs/log-batch", run_id=run, metrics=[metric], params=[{"key": "p", "value": SECRET}])
    place = f"{experiment}/{run}/artifacts"
    assert (
        ada.put(f"{server.uri}/api/2.0/mlflow-artifacts/artifacts/{place}/secret.txt", data=SECRET).status_code == 200
    )
    model = post("2.0/mlflow/logged-models", experiment_id=experiment, name=SECRET, source_run_id=run)["model"]["info"][
        "model_id"
    ]
    post("2.0/mlflow/registered-models/create", name="ada's model", description=SECRET)
    post(
        "2.0/mlflow/model-versions/create",
        name="ada's model",
        source=f"mlflow-artifacts:/{place}",
        run_id=run,
        description=SECRET,
    )
    trace = "tr-0123456789abcdef0123456789abcdef"
    place_of_trace = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    times = {"request_time": "2026-01-01T00:00:00Z", "execution_duration": "1s", "state": "OK"}
    post(
        "3.0/mlflow/traces",
        trace={"trace_info": {"trace_id": trace, "trace_location": place_of_trace, "tags": {"note": SECRET}, **times}},
    )
    one = {
        "experiment_id": experiment,
        "run_id": run,
        "run_uuid": run,
        "model_id": model,
        "name": "ada's model",
        "version": "1",
        "trace_id": trace,
    }
    many = {
        "experiment_ids": [experiment],
        "run_ids": [run],
        "trace_ids": [trace],
        "request_ids": [trace],
        "locations": [place_of_trace],
    }
    other = {
        "request_id": trace,
        "experiment_name": "ada's",
        "path": "secret.txt",
        "artifact_path": f"{place}/secret.txt",
        "metric_key": "x",
        "key": "note",
    }
    other |= {
        "value": "bob's",
        "new_name": "bob's",
        "username": "ada",
        "password": "bob's password",
        "is_admin": True,
        "status": "FAILED",
        "order_by": [],
    }
    return {
        **one,
        **many,
        **other,
        "max_results": 10,
        "description": "bob's",
        "stage": "Archived",
        "alias": "bob's",
        "query": "",
        "filter": "",
    }


def test_a_stranger_reads_and_changes_nothing_through_any_endpoint(
    server: Server, ada: requests.Session, bob: requests.Session, hers: dict[str, Any]
) -> None:
    table = [(path, method) for path, method in routes(server) if not path.startswith("/static-files")]
    assert len(table) > 400
    assert any(path.startswith("/gateway") for path, _ in table), "those of FastAPI, too"
    before = what_ada_has(server, ada, hers)
    # That the requests ask for the right thing is known by what they give to its owner.
    shown = [
        path
        for path, method in table
        if method == "GET" or path.endswith("search")
        if SECRET in ask(server, ada, path, method, hers).text
    ]
    assert len(shown) > 30, shown
    anonymous = requests.Session()
    for path, method in table:
        answer = ask(server, anonymous, path, method, hers)
        assert SECRET not in answer.text, (path, method)
        assert answer.status_code in (401, 404, 405) or path in PUBLIC, (
            path,
            method,
            answer.status_code,
            answer.text[:200],
        )
        answer = ask(server, bob, path, method, hers)
        assert SECRET not in answer.text, (path, method, answer.text[:200])
    assert what_ada_has(server, ada, hers) == before
    himself = {
        **hers,
        "username": "bob",
        "resource_type": "experiment",
        "resource_id": hers["experiment_id"],
        "permission": "MANAGE",
    }
    for path, method in (("2.0/mlflow/users/update-admin", "PATCH"), ("3.0/mlflow/users/permissions/grant", "POST")):
        assert (f"/api/{path}", method) in table
        assert ask(server, bob, f"/api/{path}", method, himself).status_code == 403
    assert ask(server, bob, "/api/2.0/mlflow/runs/get", "GET", hers).status_code == 403


def test_nobody_places_artifacts_among_those_of_others(
    server: Server, bob: requests.Session, hers: dict[str, Any]
) -> None:
    for place in (
        f"mlflow-artifacts:/{hers['experiment_id']}",
        "mlflow-artifacts:/",
        f"file://{server.project}/server/artifacts",
        "/etc",
    ):
        body = {"name": f"bob {place}", "artifact_location": place}
        answer = bob.post(f"{server.uri}/api/2.0/mlflow/experiments/create", json=body)
        assert answer.status_code in (400, 403), (place, answer.text)
    name = {"name": "bob's model"}
    bob.post(f"{server.uri}/api/2.0/mlflow/registered-models/create", json=name)
    for source in (
        f"mlflow-artifacts:/{hers['experiment_id']}/{hers['run_id']}/artifacts",
        f"runs:/{hers['run_id']}/secret.txt",
        "file:///etc",
    ):
        answer = bob.post(f"{server.uri}/api/2.0/mlflow/model-versions/create", json={**name, "source": source})
        read = bob.get(
            f"{server.uri}/model-versions/get-artifact", params={**name, "version": "1", "path": "secret.txt"}
        )
        assert SECRET not in read.text, source


def spelled(name: str, place: str) -> dict[str, bytes]:
    """Bodies that ask for an experiment at a place, in every way that MLflow's own parser reads."""

    def body(field: str) -> str:
        return f'{{"name": "{name} {field.encode().hex()}", "{field}": "{place}"}}'

    plain, camel, escaped = body("artifact_location"), body("artifactLocation"), body("artifact\\u005flocation")
    found = {
        "plain": plain,
        "camel": camel,
        "escaped": escaped,
        "escaped whole": body("".join(f"\\u{ord(char):04x}" for char in "artifactLocation")),
    }
    found |= {"twice packed": json.dumps(plain), "escaped and twice packed": json.dumps(escaped)}
    found |= {
        "named twice": plain.replace('"artifact_location"', '"artifact_location": "", "artifact_location"'),
        "both": plain[:-1] + ', "artifactLocation": ""}',
    }
    encoded = {
        f"{text} in {code}": found[text].encode(code)
        for text in ("plain", "camel")
        for code in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
    }
    return {text: content.encode() for text, content in found.items()} | encoded


@pytest.mark.parametrize("kind", ["api", "ajax-api", "/api"])
@pytest.mark.parametrize("place", ["file:///tmp/bob's", "s3://bucket/bob's", "/etc", "mlflow-artifacts:/1"])
def test_the_place_of_an_experiment_is_the_server_s_to_choose_however_it_is_spelled(
    server: Server, bob: requests.Session, kind: str, place: str
) -> None:
    create = f"{server.uri}/{kind}/2.0/mlflow/experiments/create"
    for what, body in spelled(f"{kind} {place}", place).items():
        for header in ("application/json", "application/json; charset=utf-16"):
            answer = bob.post(create, data=body, headers={"Content-Type": header}, timeout=WITHIN)
            assert answer.status_code == (400 if what == "both" else 403), (what, header, answer.text)
    for header in ("text/plain", "application/x-www-form-urlencoded", "application/vnd.api+json", ""):
        assert (
            bob.post(
                create, data=spelled("typed", place)["camel"], headers={"Content-Type": header}, timeout=WITHIN
            ).status_code
            == 400
        ), header
    empty = {"name": f"empty {kind} {place}", "artifact_location": ""}
    answer = bob.post(
        create, json=empty, params={"artifact_location": place, "artifactLocation": place}, timeout=WITHIN
    )
    got = {"experiment_id": answer.json()["experiment_id"]}
    placed = bob.get(f"{server.uri}/api/2.0/mlflow/experiments/get", params=got, timeout=WITHIN).json()["experiment"][
        "artifact_location"
    ]
    assert placed == f"mlflow-artifacts:/{got['experiment_id']}"


def test_a_trace_s_tags_do_not_say_where_its_content_lies(
    server: Server, bob: requests.Session, tmp_path: Path
) -> None:
    """MLflow would read there, whatever user it is of."""
    name = {"name": "bob's traces"}
    experiment = bob.post(f"{server.uri}/api/2.0/mlflow/experiments/create", json=name, timeout=WITHIN).json()[
        "experiment_id"
    ]
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    times = {"request_time": "2026-01-01T00:00:00Z", "execution_duration": "1s", "state": "OK"}
    for number, (place_field, kind) in enumerate([("tags", "api"), ("tags", "ajax-api"), ("\\u0074ags", "api")]):
        for key in ("mlflow.trace.archiveLocation", "mlflow.artifactLocation", "mlflow.trace.spansLocation"):
            info = {"trace_id": f"tr-{number:032x}", "trace_location": place, **times, "tags": {"note": "x"}}
            body = json.dumps({"trace": {"trace_info": {**info, "tags": {key: f"file://{tmp_path}"}}}}).replace(
                '"tags"', f'"{place_field}"'
            )
            answer = bob.post(
                f"{server.uri}/{kind}/3.0/mlflow/traces",
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=WITHIN,
            )
            assert answer.status_code == 403, (key, answer.text)
            old = {
                "experiment_id": experiment,
                "timestamp_ms": 1,
                "tags": [{"key": key, "value": f"file://{tmp_path}"}],
            }
            for path, method in (("", "POST"), ("/tr-1", "PATCH")):
                assert (
                    bob.request(
                        method, f"{server.uri}/{kind}/2.0/mlflow/traces{path}", json=old, timeout=WITHIN
                    ).status_code
                    == 403
                ), key
    assert (
        bob.post(
            f"{server.uri}/api/3.0/mlflow/traces", json={"trace": {"trace_info": info}}, timeout=WITHIN
        ).status_code
        == 200
    )
    headers = {"x-mlflow-experiment-id": experiment, "Content-Type": "application/json"}
    assert bob.post(f"{server.uri}/v1/traces", data="{}", headers=headers, timeout=WITHIN).status_code == 403


def test_a_model_s_files_are_the_server_s_own(server: Server, bob: requests.Session) -> None:
    """Any other place would be read with the server's own keys."""
    bob.post(
        f"{server.uri}/api/2.0/mlflow/registered-models/create", json={"name": "bob's other model"}, timeout=WITHIN
    )
    places = [
        "s3://bucket/x",
        "gs://bucket/x",
        "wasbs://a@b/c",
        "dbfs:/x",
        "https://127.0.0.1/x",
        "file:///etc",
        "mlflow-artifacts://127.0.0.1:1/x",
    ]
    for source in places:
        for field in ("source", "sourc\\u0065"):
            body = f'{{"name": "bob\'s other model", "{field}": "{source}"}}'
            create = f"{server.uri}/ajax-api/2.0/mlflow/model-versions/create"
            assert (
                bob.post(create, data=body, headers={"Content-Type": "application/json"}, timeout=WITHIN).status_code
                == 400
            ), source


def test_nobody_but_an_admin_lists_the_users(server: Server, ada: requests.Session) -> None:
    for path in (
        f"{kind}/{version}/mlflow/users/list" for kind in ("api", "ajax-api", "/api") for version in ("2.0", "3.0")
    ):
        assert ada.get(f"{server.uri}/{path}", timeout=WITHIN).status_code == 403, path
    listed = server.session("admin", server.password).get(f"{server.uri}/api/2.0/mlflow/users/list", timeout=WITHIN)
    assert {"admin", "ada"} <= {user["username"] for user in listed.json()["users"]}


def test_a_password_that_was_changed_holds_no_longer(server: Server) -> None:
    """In each of the server's processes, which all have seen the old one."""
    old = server.user("flora", "flora's password")
    search = f"{server.uri}/api/2.0/mlflow/experiments/search"

    def answers(session: requests.Session) -> set[int]:
        # A connection each: it is one of the processes that takes it.
        return {
            session.post(search, json={"max_results": 1}, headers={"Connection": "close"}, timeout=WITHIN).status_code
            for _ in range(20)
        }

    assert answers(old) == {200}
    body = {"username": "flora", "password": "another password", "current_password": "flora's password"}
    assert old.patch(f"{server.uri}/api/2.0/mlflow/users/update-password", json=body, timeout=WITHIN).status_code == 200
    new = server.session("flora", "another password")
    assert (answers(old), answers(new)) == ({401}, {200})
    delete = server.session("admin", server.password).delete(
        f"{server.uri}/api/2.0/mlflow/users/delete", json={"username": "flora"}, timeout=WITHIN
    )
    assert delete.status_code == 200
    assert answers(new) == {401}


def test_only_known_hosts_and_origins(server: Server, ada: requests.Session) -> None:
    search = f"{server.uri}/api/2.0/mlflow/experiments/search"
    assert ada.post(search, json={"max_results": 1}).status_code == 200
    assert ada.post(search, json={"max_results": 1}, headers={"Host": "evil.example"}).status_code == 403
    assert ada.post(search, json={"max_results": 1}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_name_that_the_server_does_not_know_is_refused_and_not_waited_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in as_user(server.uri.replace("127.0.0.1", "127.1"), "admin", server.password).items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError, match=r"http://127\.1:\d+ refuses the request: "):
        open_store(tmp_path, "server", needed=False)


def test_a_server_that_cannot_start_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(ConfigError) as caught, program.postgresql(program.postgresql_programs(), folder):
            pass
        return str(caught.value)

    if os.getuid() == 0:  # pytest's folder is closed to others
        command, environment = (
            [sys.executable, str(REPOSITORY / "src" / "server.py"), f"port={free_port()}"],
            {**os.environ, "EQUIPOISE_ROOT": str(tmp_path)},
        )
        found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert f"the user postgres may not enter {tmp_path}: run this as an ordinary user" in found.stderr
        assert (found.returncode, list(tmp_path.iterdir())) == (2, []), "exit 2 promises that nothing is written"
    with tempfile.TemporaryDirectory(prefix="equipoise-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "postgresql").mkdir()
        (folder / "postgresql" / "another's").touch()
        assert "PostgreSQL's database cannot be made: initdb: error: directory" in refused(folder)
        (folder / "postgresql" / "PG_VERSION").write_text("1\n")
        assert f"PostgreSQL does not start: see {folder}/postgresql.log" in refused(folder)
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(ConfigError, match="MLflow does not start on port 9: see"):
        program.wait_for_mlflow(process, 9, tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(program, "DEBIAN", tmp_path)
    with pytest.raises(ConfigError, match=r"^PostgreSQL is not installed: make system"):
        program.postgresql_programs()


def test_the_servers_files_are_open_to_its_owner_alone(server: Server) -> None:
    folder = server.project / "server"
    assert {"authentication.ini", "secret_key", "postgresql", "artifacts", "mlflow.log", "postgresql.log"} <= {
        file.name for file in folder.iterdir()
    }
    for file in folder.iterdir():
        assert not stat.S_IMODE(file.stat().st_mode) & 0o077, file
    assert stat.S_IMODE(folder.stat().st_mode) == (0o711 if os.getuid() == 0 else 0o700), (
        "as root, PostgreSQL's own user must come through"
    )
    assert re.search(r"shown this once: \S{24}\n", server.printed)
    kept = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    for password in (server.password, "ada's password", "bob's password"):
        assert password.encode() not in kept, "neither in logs nor in the database or an artifact"


def test_files_that_an_earlier_version_left_open_are_closed(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir(0o700)
    (tmp_path / "artifacts").mkdir(0o755)
    (tmp_path / "mlflow.log").touch(0o644)
    program.keep_private(tmp_path, passable=False)
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in [tmp_path, *tmp_path.iterdir()]} == {
        tmp_path.name: 0o700,
        "postgresql": 0o700,
        "artifacts": 0o700,
        "mlflow.log": 0o600,
    }


def test_a_second_server_is_told_who_is_in_its_way(server: Server, tmp_path: Path) -> None:
    second = [sys.executable, str(server.project / "src/server.py"), f"port={free_port()}"]
    found = subprocess.run(second, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 2
    assert re.search(
        rf"server is in use by another process, process {server.process.pid} on .*: wait for it, or end it\n",
        found.stderr,
    )
    with pytest.raises(
        ConfigError,
        match=rf"port={server.port} is taken by process (\d+) \(.*mlflow server .*\), "
        r"which this ends: kill -- -\1; or choose",
    ):
        program.check_port(server.port)
    with pytest.raises(ConfigError, match="the last one is 65535"):
        program.check_port(70_000)
    (tmp_path / "postgres").symlink_to("/bin/sleep")
    with subprocess.Popen([str(tmp_path / "postgres"), "600"]) as left:  # by who was killed together with its watch
        try:
            (tmp_path / "postmaster.pid").write_text(f"{left.pid}\n{tmp_path}\n")
            with pytest.raises(ConfigError, match=rf"as process {left.pid}, which this ends: kill -INT {left.pid}"):
                program.check_abandoned(tmp_path)
        finally:
            left.kill()
    program.check_abandoned(tmp_path)


def test_a_server_that_is_killed_takes_its_programs_with_it(server: Server) -> None:
    """And the next one starts on what it has left."""
    programs = psutil.Process(server.process.pid).children(recursive=True)
    assert {"postgres", "sh"} < {program.name() for program in programs}
    server.process.kill()
    server.process.communicate(timeout=60)
    try:
        _, left = psutil.wait_procs(programs, timeout=60)
        assert left == []
    finally:
        server.start()


def ask(
    server: Server, session: requests.Session, path: str, method: str, fields: Mapping[str, Any]
) -> requests.Response:
    """A request with all that any endpoint might ask for, in its path, its query and its body."""
    filled = re.sub(
        r"[<{](?:path:)?(\w+)(?::path)?[>}]", lambda found: str(fields.get(found[1], fields["run_id"])), path
    )
    query = {key: value for key, value in fields.items() if not isinstance(value, dict)}
    body = graphql(fields) if path.endswith("graphql") else fields
    return session.request(
        method,
        server.uri + filled,
        params=query if method == "GET" else None,
        json=None if method == "GET" else body,
        timeout=WITHIN,
    )


def graphql(fields: Mapping[str, Any]) -> dict[str, str]:
    run = f'{{runId: "{fields["run_id"]}"}}'
    wanted = "{ run { info { runName } data { tags { value } } } }"
    return {"query": f"query {{ mlflowGetRun(input: {run}) {wanted} }}"}


def what_ada_has(server: Server, ada: requests.Session, hers: Mapping[str, Any]) -> list[Any]:
    paths = (
        "runs/get",
        "experiments/get",
        "registered-models/get",
        "model-versions/get",
        "artifacts/list",
        f"logged-models/{hers['model_id']}",
        "users/get",
    )
    found = [ask(server, ada, f"/api/2.0/mlflow/{path}", "GET", {**hers, "path": ""}) for path in paths]
    artifact = ada.get(f"{server.uri}/get-artifact", params={"run_uuid": hers["run_id"], "path": "secret.txt"})
    assert [answer.status_code for answer in (*found, artifact)] == [200] * 8, [answer.text for answer in found]
    return [*(answer.json() for answer in found), artifact.text]


def test_a_permission_that_is_granted_holds(
    server: Server, ada: requests.Session, bob: requests.Session, hers: dict[str, Any]
) -> None:
    grant = {
        "username": "bob",
        "resource_type": "experiment",
        "resource_id": hers["experiment_id"],
        "permission": "READ",
    }
    assert ada.post(f"{server.uri}/api/3.0/mlflow/users/permissions/grant", json=grant).status_code == 200
    assert SECRET in ask(server, bob, "/api/2.0/mlflow/runs/get", "GET", hers).text
    assert ask(server, bob, "/api/2.0/mlflow/runs/delete", "POST", hers).status_code == 403


def test_anothers_experiment_is_a_mistake_that_is_named(
    server: Server, bob: requests.Session, hers: dict[str, Any], tmp_path: Path
) -> None:
    server.user("eve", "eve's password")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in as_user(server.uri, "eve", "eve's password").items():
            patch.setenv(key, value)
        with pytest.raises(ConfigError, match=r"'ada's' on .* is another user's.* or set dataset.title"):
            open_store(tmp_path, "server").check_experiments({"ada's"})


JOBS, PROCESSES = 200, 4
SHORT_JOBS = """
import sys
from pathlib import Path
from equipoise.tracking.run import Description, start_run
from equipoise.tracking.store import open_store
root, first = Path(sys.argv[1]), int(sys.argv[2])
store = open_store(root, "server")
for job in range(first, 200, 4):
    folder = root / f"job-{job}"
    folder.mkdir()
    description = Description("short jobs", f"job {job}", {"job": job}, {"short": "yes"})
    with start_run(store, description, folder) as run:
        for epoch in range(2):
            run.log_metrics({f"m/{index}": job + index / 10 for index in range(5)}, step=epoch)
    assert run.is_uploaded
"""


def test_200_jobs_of_4_processes_lose_nothing(server: Server, tmp_path: Path, processes: Processes) -> None:
    server.user("dora", "dora's password")
    environment = {**as_user(server.uri, "dora", "dora's password"), "PYTHONPATH": str(server.project / "src")}
    (tmp_path / "short_jobs.py").write_text(SHORT_JOBS)
    commands = [
        [sys.executable, str(tmp_path / "short_jobs.py"), str(tmp_path), str(first)] for first in range(PROCESSES)
    ]
    begun = [processes.start(command, env=environment) for command in commands]
    errors = [processes.said(process)[1] for process in begun]
    assert [process.returncode for process in begun] == [0] * PROCESSES, errors
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        store = open_store(tmp_path, "server")
        runs = store.runs(short="yes")
        histories = [store.client.get_metric_history(run.info.run_id, "m/3") for run in runs[::20]]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert sorted(int(run.data.params["job"]) for run in runs) == list(range(JOBS))
    for run in runs:
        assert run.data.metrics == {f"m/{index}": int(run.data.params["job"]) + index / 10 for index in range(5)}
    assert all(sorted(point.step for point in history) == [0, 1] for history in histories)
