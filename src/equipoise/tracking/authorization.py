"""Who may ask the tracking server for what, beyond MLflow's own rules. The server loads this module; runs do not.

MLflow's basic auth gives whoever made an experiment the say over it, and forbids what it has no rule for. Four gaps are
closed here. Whoever may choose where new artifacts lie, in an experiment or by a trace's tags, can choose another
user's place, or a folder of the server. Whoever may make an experiment may list all users. After a change of password,
each of the server's processes accepts the old one for as long as it remembers it. And what is made for language models
(an assistant that runs commands on the server's machine, a gateway that makes requests from it, traces in
OpenTelemetry's form) is open to every user, or to all requests from loopback, which is where a TLS proxy's come from.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from equipoise.core.state import kept

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.datastructures import Authorization

CLOSED = ("/mlflow/assistant/", "/gateway", "/mlflow/demo/", "/mlflow/mcp-servers", "/3.0/jobs", "/v1/traces")
MOST_KNOWN = 10_000  # checked passwords that are remembered; then all are forgotten


@dataclass
class Checked:
    """The passwords that this process of the server has found right.

    Attributes
    ----------
    marks : of the passwords; made with the stored hash, which a new password changes
    key : of the marks, so that no password can be read from memory
    """

    marks: set[bytes] = field(default_factory=set)
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))


def authenticate() -> "Authorization | Response":
    """Check name and password as MLflow does, and refuse what is closed to all users, or to all but admins."""
    from flask import make_response, request
    from mlflow.server.auth import authenticate_request_basic_auth
    from werkzeug.datastructures import Authorization

    given = request.authorization
    mark = _mark(given.username, given.password) if given is not None else None
    found: Authorization | Response = (
        given if given is not None and mark in kept(Checked).marks else authenticate_request_basic_auth()
    )
    if not isinstance(found, Authorization):
        return found  # a stranger learns nothing
    _remember(mark)
    reason = _refusal(found)
    return make_response(reason, 403) if reason else found


def _mark(name: str | None, password: str | None) -> bytes | None:
    """Return what the name and password are remembered by, since to check a password takes a tenth of a second.

    Returns None if there is no such user.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.server.auth import store

    try:
        stored = store.get_user(name).password_hash
    except MlflowException:
        return None
    return hmac.digest(kept(Checked).key, "\0".join((name or "", stored, password or "")).encode(), "sha256")


def _remember(mark: bytes | None) -> None:
    marks = kept(Checked).marks
    if len(marks) >= MOST_KNOWN:
        marks.clear()
    if mark is not None:
        marks.add(mark)


def _refusal(given: "Authorization") -> str | None:
    """Return why the request is closed to this user; None if it is open."""
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
    """Ask MLflow's own parser, which takes a field in two spellings, and JSON in any encoding and packed twice."""
    from mlflow.protos.service_pb2 import CreateExperiment
    from mlflow.server.handlers import _get_request_message

    return bool(_get_request_message(CreateExperiment()).artifact_location)


def _chooses_storage(path: str) -> bool:
    """Return whether a trace comes with a tag by which MLflow knows where its content lies."""
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
