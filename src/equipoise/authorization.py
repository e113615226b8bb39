"""Who may ask the tracking server for what, beyond MLflow's own rules; loaded by the server, not by runs.

MLflow's basic auth gives each experiment's maker the say over it, and forbids what it has no rule for. It leaves two
things open that matter here: whoever may choose the place of a new experiment's artifacts can choose another's, and
all that is for language models (an assistant that runs commands on the server's machine, a gateway that makes requests
from it) is open to every user, or to whatever comes from loopback, as all requests do that a TLS proxy hands on.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.datastructures import Authorization

CLOSED = ("/mlflow/assistant/", "/gateway", "/mlflow/demo/", "/mlflow/mcp-servers", "/3.0/jobs")


def authenticate() -> "Authorization | Response":
    """MLflow's check of name and password, and a refusal of what is closed to all."""
    from flask import make_response, request
    from mlflow.server.auth import authenticate_request_basic_auth

    found: Authorization | Response = authenticate_request_basic_auth()
    if not hasattr(found, "username"):
        return found  # who is not known learns nothing
    if any(part in request.path for part in CLOSED):
        return make_response("this server keeps experiments; what is for language models is closed", 403)
    if request.path.endswith("/mlflow/experiments/create") and "artifact_location" in request.get_data(as_text=True):
        return make_response("artifact_location is the server's to choose", 403)
    return found
