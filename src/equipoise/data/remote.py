"""Files in an S3 store: copied to this machine, into the cache, before they are read as all files are.

A copy belongs to the content of the store, by the ETags that it tells: another content is another copy, so that a file
that was changed there is other data here. Address and credentials are those of every S3 client: AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the files in ~/.aws.
"""

import functools
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equipoise.core.errors import ConfigError
from equipoise.core.paths import cache_folder

SCHEME = "s3://"
AHEAD = 64  # files that are copied at once


def local(path: str, option: str) -> str:
    """Return the path; of a file, a folder or a pattern in an S3 store, that of a copy on this machine.

    The store is asked once in a process.

    Raises
    ------
    ConfigError
        If there is nothing in the store, it cannot be read, or the package that reads it is missing.
    """
    return _copied(path, option) if path.startswith(SCHEME) else path


def ask_anew() -> None:
    """Forget what stores have told, so that files that have changed since are copied again."""
    _copied.cache_clear()


@functools.lru_cache(maxsize=64)
def _copied(path: str, option: str) -> str:
    try:
        import s3fs
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise ConfigError(f"{option}={path}: s3:// needs s3fs: make setup EXTRA=s3, or pip install s3fs") from None
    name = path.removeprefix(SCHEME).rstrip("/")
    if "/" not in name:
        raise ConfigError(f"{option}={path}: name a file or a folder in the bucket, such as {SCHEME}bucket/table.csv")
    try:
        store = s3fs.S3FileSystem(skip_instance_cache=True)
        found = _listed(store, name)
        if not found:
            raise FileNotFoundError(name)
        folder = str(_folder(store, found))
        return f"{glob.escape(folder) if glob.has_magic(name) else folder}/{name}"
    except FileNotFoundError as error:
        why = "there is no such bucket" if "bucket does not exist" in str(error) else "nothing is there"
        raise ConfigError(f"{option}={path}: {why}") from None
    except PermissionError as error:
        raise ConfigError(f"{option}={path} may not be read: {error}; check AWS_PROFILE or AWS_ACCESS_KEY_ID") from None
    except (BotoCoreError, OSError) as error:
        raise ConfigError(f"{option}={path} cannot be read: {error}") from None


def _listed(store: Any, name: str) -> dict[str, str]:
    """Return the ETag of each file that a name means: of a file, of all below a folder, or of those of a pattern."""
    if glob.has_magic(name) and not store.exists(name):
        found = store.glob(name, detail=True)
    else:
        found = store.find(name, detail=True)
    return {file: of["ETag"] for file, of in sorted(found.items()) if of["type"] == "file" and not file.endswith("/")}


def _folder(store: Any, found: Mapping[str, str]) -> Path:
    """Return the folder that holds a copy of these files below their names, made whole or not at all."""
    version = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
    folder = cache_folder() / "s3" / version
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{version}@", dir=folder.parent))
    try:
        files = [aside / name for name in found]
        for parent in {file.parent for file in files}:
            parent.mkdir(parents=True, exist_ok=True)
        store.get(list(found), list(map(str, files)), batch_size=AHEAD)
        os.chmod(aside, 0o755)
        os.rename(aside, folder)
    except OSError:
        if not folder.is_dir():  # another process was first; anything else is a real failure
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder
