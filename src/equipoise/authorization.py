"""Who may ask the tracking server for what, beyond MLflow's own rules; loaded by the server, not by runs.

MLflow's basic auth gives each experiment's maker the say over it. It does not ask who owns the place that a new
experiment's artifacts are to lie in: whoever may choose it can read another's artifacts as his own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.datastructures import Authorization


def authenticate() -> "Authorization | Response":
    """MLflow's check of name and password, and no place for artifacts but the server's own choice."""
    from flask import make_response, request
    from mlflow.server.auth import authenticate_request_basic_auth

    found: Authorization | Response = authenticate_request_basic_auth()
    if request.path.endswith("/mlflow/experiments/create") and "artifact_location" in request.get_data(as_text=True):
        return make_response("artifact_location is the server's to choose", 403)
    return found
