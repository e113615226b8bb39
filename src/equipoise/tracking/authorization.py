"""Who may ask the tracking server for what, beyond MLflow's own rules; loaded by the server, not by runs.

MLflow's basic auth gives each experiment's maker the say over it, and forbids what it has no rule for. It leaves open
what matters here: whoever may choose the place of new artifacts, in an experiment or by a trace's tags, can choose
another's, or a folder of the server; who may make an experiment may also list all users; a password that was changed
holds for as long as it is remembered, in each of the server's processes; and all that is for language models (an
assistant that runs commands on the server's machine, a gateway that makes requests from it, traces in OpenTelemetry's
form) is open to every user, or to whatever comes from loopback, as all requests do that a TLS proxy hands on.
"""

import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.datastructures import Authorization

CLOSED = ("/mlflow/assistant/", "/gateway", "/mlflow/demo/", "/mlflow/mcp-servers", "/3.0/jobs", "/v1/traces")
MOST_KNOWN = 10_000  # passwords that were checked; then all are checked anew

# Of the passwords that were found right. A stored hash is part of it: with a new password, a user has another.
_known: set[bytes] = set()
_key = secrets.token_bytes(32)  # so that nothing in memory says what a password is


def authenticate() -> "Authorization | Response":
    """MLflow's check of name and password, and a refusal of what is closed to all, or to all but admins."""
    from flask import make_response, request
    from mlflow.server.auth import authenticate_request_basic_auth
    from werkzeug.datastructures import Authorization

    given = request.authorization
    mark = _mark(given.username, given.password) if given is not None else None
    found: Authorization | Response = (
        given if given is not None and mark in _known else authenticate_request_basic_auth()
    )
    if not isinstance(found, Authorization):
        return found  # who is not known learns nothing
    _remember(mark)
    reason = _refusal(found)
    return make_response(reason, 403) if reason else found


def _mark(name: str | None, password: str | None) -> bytes | None:
    """What a name and password are known by while the user has that password: to check one takes a tenth of a second."""
    from mlflow.exceptions import MlflowException
    from mlflow.server.auth import store

    try:
        stored = store.get_user(name).password_hash
    except MlflowException:
        return None
    return hmac.digest(_key, "\0".join((name or "", stored, password or "")).encode(), "sha256")


def _remember(mark: bytes | None) -> None:
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    if mark is not None:
        _known.add(mark)


def _refusal(given: "Authorization") -> str | None:
    """Why the request is closed to this user."""
    from flask import request
    from mlflow.server.auth import store

    path = request.path
    if any(part in path for part in CLOSED):
        return "this server keeps experiments; what is for language models is closed"
    if path.endswith("/mlflow/users/list") and not store.get_user(given.username).is_admin:
        return "only an admin lists the users"
    if request.method == "POST" and path.endswith("/mlflow/experiments/create") and _chooses_location():
        return "artifact_location is the server's to choose"
    if request.method in ("POST", "PATCH") and "/mlflow/traces" in path and _chooses_storage(path):
        return "where a trace is kept is the server's to choose"
    return None


def _chooses_location() -> bool:
    """Asked of MLflow's own parser, which takes a field in two spellings, and JSON in any encoding and twice packed."""
    from mlflow.protos.service_pb2 import CreateExperiment
    from mlflow.server.handlers import _get_request_message

    return bool(_get_request_message(CreateExperiment()).artifact_location)


def _chooses_storage(path: str) -> bool:
    """Whether a trace that is begun or ended comes with a tag by which MLflow knows where its content lies."""
    from mlflow.protos.service_pb2 import EndTrace, StartTrace, StartTraceV3
    from mlflow.server.handlers import _get_request_message
    from mlflow.utils.mlflow_tags import IMMUTABLE_TAGS, MLFLOW_USER

    if "/3.0/" in path:
        tags = (
            set(_get_request_message(StartTraceV3()).trace.trace_info.tags)
            if path.endswith("/mlflow/traces")
            else set()
        )
    else:
        tags = {tag.key for message in (StartTrace(), EndTrace()) for tag in _get_request_message(message).tags}
    return bool(tags & (IMMUTABLE_TAGS - {MLFLOW_USER}))
