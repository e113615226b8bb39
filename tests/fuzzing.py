"""Hostile input by the thousand: values for every option, drawn from the config's schema, and damaged files.

What is read must be accepted whole or refused by a `ConfigError` that is fit to print; anything else is a finding. A
case is known again by its kind and number.
"""

import bz2
import copy
import gzip
import hashlib
import io
import json
import lzma
import random
import re
import shutil
import tempfile
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hydra import compose
from hypothesis import strategies as st
from omegaconf import OmegaConf

from equipoise.config.checks import check_together
from equipoise.config.model import Config, flat, validate
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare, survey_anew, surveyed
from equipoise.data.prepared import METADATA, open_prepared, seal
from equipoise.data.shards import INDEX, RecordArrays, shard_names
from equipoise.data.shards import METADATA as SHARDS
from equipoise.data.shards import Metadata as ShardMetadata
from equipoise.data.types import SPLITS
from equipoise.methods.saved_model import load_keras
from equipoise.methods.weighting import class_weights
from equipoise.runs.gating import read_gates
from equipoise.runs.stage import read_params
from equipoise.sweeps.planning import plan
from equipoise.tracking.outbox import JOURNAL, OPERATIONS, UPLOADED, Outbox
from equipoise.training.checkpoints import FOLDER, Checkpoints, State, pack
from helpers import composed, composed_dataset
from options import needed

MOST_CHARACTERS = 1500  # of a line of a message


def check_message(error: ConfigError) -> None:
    """Assert that a message neither drives the terminal, nor fills it, nor is empty."""
    lines = str(error).split("\n")
    assert all(0 < len(line) <= MOST_CHARACTERS for line in lines), f"a line of {max(map(len, lines))} characters"
    odd = [char for char in "".join(lines) if unicodedata.category(char) in ("Cc", "Cs", "Cf")]
    assert not odd, f"control characters {odd!r}"


# Values

# The data of the datasets that read files, in a folder that `write_data` has filled.
FILES = {
    "dataset=tabular": ["dataset.id=ecoli1"],
    "dataset=csv": ["dataset.path=table.csv", "dataset.target=kind"],
    "dataset=multilabel": ["dataset.path=labels.csv", "dataset.targets=[colour,kind]", "loss=sigmoid"],
    "dataset=npz": ["dataset.path=arrays.npz", "dataset.features=X", "dataset.target=y"],
    "dataset=series": ["dataset.path=series.ts"],
    "dataset=image_directory": ["dataset.path=pictures"],
    "dataset=text": ["dataset.path=table.csv", "dataset.text=colour", "dataset.target=kind"],
    "model=text": ["dataset=text", "dataset.path=table.csv", "dataset.text=colour", "dataset.target=kind"],
}


def write_data(folder: Path) -> None:
    """Write one file of each kind, as `FILES` names them."""
    for name, kind in {"table.csv": "csv", "labels.csv": "multilabel", "arrays.npz": "npz", "series.ts": "ts"}.items():
        (folder / name).write_bytes(_valid(kind)[0])
    for label in "ab":
        (folder / "pictures" / label).mkdir(parents=True)
        for index in range(5):
            (folder / "pictures" / label / f"{index}.png").write_bytes(_valid("image")[0])


HOSTILE_TEXTS = [
    "",
    " ",
    "null",
    "nan",
    "-inf",
    "../../etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "/etc/passwd",
    "~",
    "~nobody-of-this-name/x",
    ".",
    "..",
    "*",
    "$(touch ran)",
    "`touch ran`",
    "; touch ran",
    "${oc.env:HOME}",
    "${nothing}",
    "${",
    "???",
    "!!python/object/apply:os.system [touch ran]",
    "a" * 300,
    "a" * 100_000,
    "\u202etxt.exe",
    "e\u0301",
    "𝔘",
    "\ud800",
    "a\nb",
    "\x00",
    "\x1b[2J",
    "\t",
    "%s%n",
    "'",
    '"',
    "\\",
    "a,b",
    "a:b",
    "{",
    "[",
    "0x10",
    "1_000",
    "１２",
    "on",
    "1" + "0" * 5000,
]
HOSTILE_NUMBERS = [
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**400,
    1e308,
    -1e308,
    5e-324,
    1e-320,
    float("nan"),
    float("inf"),
    float("-inf"),
    -0.0,
    0.5,
    1 - 2**-53,
]


GRAMMAR = [
    "1,2",
    "range(0,3)",
    "range(0,1000000000)",
    "range(0,1,1e-300)",
    "range(3,0,-1)",
    "range(0,3,0)",
    "range(0,0)",
    "range(0,1e999)",
    "range(0,nan)",
    "interval(0,1)",
    "choice(1,a,[1])",
    "choice()",
    "glob(*)",
    "glob([b*,p*],exclude=power)",
    "shuffle(range(0,3))",
    "shuffle(range(0,1000000000))",
    "sort(2,1)",
    "tag(log,interval(1,2))",
    "int(1.5)",
    "int(" + "9" * 5000 + ")",
    "9" * 5000,
    "float(x)",
    "bool(maybe)",
    "str([1])",
    "nothing(1)",
    "${seed}",
    "${oc.env:HOME}",
    "null",
    "",
]


@cache
def hostile_values() -> st.SearchStrategy[Any]:
    """Draw values that no option has, of every type."""
    plain = st.one_of(
        st.sampled_from(HOSTILE_TEXTS),
        st.sampled_from(HOSTILE_NUMBERS),
        st.none(),
        st.booleans(),
        st.text(max_size=20),
        st.integers(),
        st.floats(),
    )
    nested = st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=6,
    )
    return st.one_of(plain, nested, st.sampled_from([5, 60, 400]).map(_deep))


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def near(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Draw values that the schema allows, or just does not."""
    if "$ref" in schema:
        return near(_schema()["$defs"][schema["$ref"].split("/")[-1]])
    if "anyOf" in schema:
        return st.one_of(*map(near, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    match schema.get("type"):
        case "integer" | "number" as kind:
            ends = [
                schema[key] for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if key in schema
            ]
            edges = [end + step for end in ends for step in (-1, 0, 1)] + [0, 1, 2, 10]
            return st.one_of(
                st.sampled_from(edges),
                st.sampled_from(HOSTILE_NUMBERS),
                st.integers(1, 100) if kind == "integer" else st.floats(0, 10),
            )
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(near(schema.get("items") or schema["prefixItems"][0]), max_size=4)
        case "object":
            items = schema.get("additionalProperties")
            return st.dictionaries(
                st.sampled_from([*"0123456789", "cat"]), near(items if isinstance(items, Mapping) else {}), max_size=11
            )
        case "null":
            return st.none()
    return st.text(max_size=20)


@cache
def _schema() -> dict[str, Any]:
    return Config.model_json_schema()


@cache
def options() -> dict[str, dict[str, dict[str, Any]]]:
    """Return group to option to key to the key's schema; what is in no group stands under `""`."""
    found: dict[str, dict[str, dict[str, Any]]] = {"": {"": {}}}
    for name, schema in _schema()["properties"].items():
        members = [schema, *schema.get("oneOf", ())]
        references = [member["$ref"].split("/")[-1] for member in members if "$ref" in member]
        if not references:
            found[""][""][name] = schema
            continue
        parts = [_schema()["$defs"][reference]["properties"] for reference in references]
        found[name] = {
            option: {f"{name}.{key}": value for key, value in part.items()}
            for part in parts
            for option in part.get("name", {}).get("enum", [part.get("name", {}).get("const", "default")])
        }
    return found


@st.composite
def settings_of_options(draw: Any) -> tuple[list[str], dict[str, Any]]:
    """Draw an option with what it needs, and values for keys that it has."""
    chosen: list[str] = []
    keys: dict[str, Any] = (
        dict(options()[""][""]) | options()["trainer"]["default"] | options()["evaluation"]["default"]
    )
    group = draw(st.sampled_from(["dataset", "model", "weighting", "loss", "decision"]))
    option = draw(st.sampled_from(sorted(options()[group])))
    chosen = [f"{group}={option}", *needed(f"{group}={option}"), *FILES.get(f"{group}={option}", ())]
    keys |= options()[group][option]
    typed = draw(st.lists(st.sampled_from(sorted(keys)), min_size=1, max_size=3, unique=True))
    return chosen, {key: draw(_any_value(json.dumps(keys[key]))) for key in typed}


@cache
def _any_value(schema: str) -> st.SearchStrategy[Any]:
    return st.one_of(near(json.loads(schema)), hostile_values())


@st.composite
def command_lines(draw: Any) -> list[str]:
    """Draw the same as words of a command, some of them in Hydra's grammar."""
    chosen, values = draw(settings_of_options())
    kept = [word for word in chosen if word.split("=")[0] not in values]
    swept = draw(st.sampled_from([["-m"], [], []]))
    typed = {key: draw(st.sampled_from([rendered, str]))(value) for key, value in values.items()}
    if draw(st.sampled_from([True, False, False])):
        typed[draw(st.sampled_from([*typed, "weighting", "hydra.run.dir", "hydra.sweeper", "~trainer"]))] = draw(
            st.sampled_from(GRAMMAR)
        )
    return swept + kept + [f"{key}={value}" for key, value in typed.items()]


def rendered(value: Any) -> str:
    """Return a value as Hydra's grammar writes it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return "'" + re.sub(r"(\\*)'", r"\1\1\\'", value) + "'"
        case list():
            return f"[{','.join(map(rendered, value))}]"
        case dict():
            return "{" + ",".join(f"{rendered(key)}:{rendered(item)}" for key, item in value.items()) + "}"
    return str(value)


def try_command(words: list[str]) -> str:
    """Return whether the command line is `accepted` or `refused`; anything else is raised."""

    def jobs() -> Sequence[Config]:
        found = plan(words)
        assert found is not None
        return found.jobs

    return _try(jobs, words)


def try_settings(drawn: tuple[list[str], dict[str, Any]]) -> str:
    """Return the same of values that come past the parser, from params.yaml; Hydra must be initialised."""
    chosen, values = drawn

    def jobs() -> Sequence[Config]:
        tree = copy.deepcopy(_tree(tuple(chosen)))
        for key, value in values.items():
            *path, last = key.split(".")
            (tree[path[0]] if path else tree)[last] = value
        config = validate(tree)
        check_together(config)
        return (config,)

    return _try(jobs, [*chosen, *(f"{key}={value}" for key, value in values.items())])


@cache
def _tree(words: tuple[str, ...]) -> Any:
    return OmegaConf.to_container(compose("config", list(words)), resolve=True)


def _try(jobs: Callable[[], Sequence[Config]], words: Sequence[str]) -> str:
    try:
        found = jobs()
    except ConfigError as error:
        check_message(error)
        said = str(error)
        parts = {
            part for word in words for part in (*word.split("=")[0].strip("~").split("."), word.partition("=")[2])
        } - {""}
        assert any(part in said for part in parts), f"{said!r} names none of {sorted(parts)}"
        return "refused"
    for config in found:
        json.dumps(flat(config), allow_nan=False).encode()
        source = surveyed(config.dataset)
        weights = class_weights(config.weighting, source.counts, source.classes)
        assert np.isfinite(weights.weights).all()
        assert np.isfinite([weights.sample_mean, weights.effective_sample_size, *weights.share]).all()
    return "accepted"


# Files

TOKENS = [
    b"nan",
    b"inf",
    b"-1",
    b"1e308",
    b"1e999",
    b"99999999999999999999",
    b'"',
    b"'",
    b",",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x1b[2J",
    b"(",
    b"{",
    b"null",
    b"../",
    b"\xe2\x80\xae",
]
NUMBERS = [b"0", b"-1", b"1000000000", b"9223372036854775808", b"1" + b"0" * 400, b"1" + b"0" * 5000, b"1.5", b"nan"]


def mutated(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Return the bytes with one to three things wrong."""
    for _ in range(draw.choice([1, 1, 2, 3])):
        at, end = sorted(draw.randrange(len(data) + 1) for _ in range(2))
        match draw.randrange(9):
            case 0:
                changed = bytearray(data)
                for _ in range(draw.randint(1, 8)):
                    if changed:
                        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
                data = bytes(changed)
            case 1:
                data = data[:at]
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = data[:end] + data[at:end] * draw.choice([1, 2, 50]) + data[end:]
            case 4:
                data = data[:at] + other[at:]
            case 5:
                data = data[:at] + draw.choice(TOKENS) + data[at:]
            case 6:
                width = draw.choice([2, 4, 8])
                data = data[:at] + draw.choice([b"\xff", b"\x7f", b"\x00", b"\x80"]) * width + data[at + width :]
            case 7:
                found = list(re.finditer(rb"\d+", data))
                if found:
                    number = draw.choice(found)
                    data = data[: number.start()] + draw.choice(NUMBERS) + data[number.end() :]
            case 8:
                data = data[:at] + draw.randbytes(draw.randint(1, 64)) + data[end:]
    return data


@dataclass(frozen=True)
class Kind:
    """One kind of file: its name, some valid ones, what reads it, and how to damage what is packed in it."""

    file: str
    valid: Callable[[], list[bytes]]
    read: Callable[[Path, Path], None]  # from the file and an empty cache folder
    unpacked: Callable[[bytes, Callable[[bytes], bytes]], bytes] | None = None
    slow: bool = False  # a case of it takes as long as many of another kind


def try_file(kind: str, number: int, folder: Path) -> str:
    """Return whether case `number` of a kind is `accepted` or `refused`; anything else is raised."""
    draw = random.Random(f"{kind} {number}")
    how = KINDS[kind]
    data, other = draw.choice(_valid(kind)), draw.choice(_valid(kind))
    if how.unpacked and draw.random() < 0.7:
        data = how.unpacked(data, lambda inner: mutated(inner, inner[::-1], draw))
    else:
        data = mutated(data, other, draw)
    place = folder / f"{kind}-{number}"
    file = place / how.file
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    store = place / "cache"
    try:
        how.read(file, store)
    except ConfigError as error:
        check_message(error)
        assert not store.exists() or not list(store.iterdir()), "something is left in the cache"
        return "refused"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return "accepted"


@cache
def _valid(kind: str) -> list[bytes]:
    return KINDS[kind].valid()


@cache
def _dataset(*overrides: str) -> Any:
    return composed_dataset(*overrides)


def _dataset_reader(*overrides: str, key: Callable[[Path], Path] = lambda file: file) -> Callable[[Path, Path], None]:
    def read(file: Path, store: Path) -> None:
        try:
            data = prepare(_dataset(*overrides).model_copy(update={"path": str(key(file))}), store)
        finally:
            survey_anew()
        assert (data.counts > 0).all()
        for name in ("train", "validation", "test"):
            split = data.split(name)
            assert len(split.features) == len(split.labels)
            assert split.labels.size == 0 or (split.labels.min() >= 0 and split.labels.max() < len(data.classes))
            if isinstance(split.features, np.ndarray | RecordArrays):
                assert np.isfinite(np.asarray(split.features)).all()

    return read


def _label_tables() -> list[bytes]:
    zeros_and_ones = re.sub(r"([ab])\n", lambda found: f"{'01'[found[1] == 'a']}\n", TABLE)
    return [zeros_and_ones.replace("red", "0").replace("blue", "1").encode()]


ROWS = 40
TABLE = "age,colour,score,kind\n" + "".join(
    f"{20 + i},{'red' if i % 3 else 'blue'},{i / 7:.3f},{'ab'[i % 4 == 0]}\n" for i in range(ROWS)
)


def _tables() -> list[bytes]:
    more = "Unnamed: 0,zip,price,share,gap,kind\n" + "".join(
        f'{i},0{i % 7}139,"$1,{i}00.5",{i}%,{"n/a" if i == 5 else -i},{"ab"[i % 3 == 0]}\n' for i in range(10, 50)
    )
    plain = [TABLE, TABLE.replace("red", '"a, b"'), TABLE.replace("3", ""), more]
    return [
        *(table.encode() for table in plain),
        TABLE.replace("\n", "\r\n").encode("utf-8-sig"),
        more.encode("utf-16"),
    ]


def _zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", data)
    return out.getvalue()


def _parquets() -> list[bytes]:
    import pandas as pd

    frame = pd.read_csv(io.StringIO(TABLE))
    found = []
    for compression in ("snappy", "none", "gzip"):
        out = io.BytesIO()
        frame.to_parquet(out, compression=compression, index=False)  # type: ignore[call-overload]
        found.append(out.getvalue())
    return found


def _arrows() -> list[bytes]:
    """A file, packed or not, and a stream with a class label, as Hugging Face's datasets write it."""
    import pandas as pd
    import pyarrow as pa

    frame = pd.read_csv(io.StringIO(TABLE))
    found = []
    for packing in ("uncompressed", "lz4", "zstd"):
        out = io.BytesIO()
        frame.to_feather(out, compression=packing)
        found.append(out.getvalue())
    features = {"info": {"features": {"kind": {"names": ["a", "b"], "_type": "ClassLabel"}}}}
    whole = pa.Table.from_pandas(frame.assign(kind=(frame["kind"] == "b").astype(int)), preserve_index=False)
    whole = whole.replace_schema_metadata({"huggingface": json.dumps(features)})
    with pa.BufferOutputStream() as sink:
        with pa.ipc.new_stream(sink, whole.schema) as stream:
            stream.write_table(whole, max_chunksize=9)
        return [*found, sink.getvalue().to_pybytes()]


def _json_lines() -> list[bytes]:
    import pandas as pd

    lines = pd.read_csv(io.StringIO(TABLE)).to_json(orient="records", lines=True)
    return [
        lines.encode(),
        lines.replace("red", "z\u00fc\\n").encode("utf-8-sig"),
        lines.replace("20", "null").encode(),
    ]


def _npys() -> list[bytes]:
    found = []
    for array in (
        np.random.default_rng(0).normal(size=(ROWS, 5)),
        np.asfortranarray(np.arange(3.0 * ROWS).reshape(ROWS, 3)),
    ):
        out = io.BytesIO()
        np.save(out, array)
        found.append(out.getvalue())
    return found


def _read_npy(file: Path, store: Path) -> None:
    np.save(file.parent / "y.npy", np.arange(ROWS) % 2)
    _dataset_reader("dataset=npz", "dataset.path=x")(file, store)


def _npzs() -> list[bytes]:
    generator = np.random.default_rng(0)
    found = []
    for save, labels in (
        (np.savez, np.arange(ROWS) % 3),
        (np.savez_compressed, np.array(["cat", "dog"])[np.arange(ROWS) % 2]),
    ):
        out = io.BytesIO()
        save(out, X=generator.normal(size=(ROWS, 5)), y=labels)
        found.append(out.getvalue())
    return found


def _in_zip(data: bytes, change: Callable[[bytes], bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return the archive with one member damaged and packed again, so that its checksum is right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", packing) as new:
        names = old.namelist()
        content = {name: old.read(name) for name in names}
        chosen = names[sum(change(b"%d" % len(data))) % len(names)]
        content[chosen] = (
            change(content[chosen][:160]) + content[chosen][160:]
            if len(content[chosen]) % 2
            else change(content[chosen])
        )
        for name in names:
            new.writestr(name, content[name])
    return out.getvalue()


def _in_gzip(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return gzip.compress(change(gzip.decompress(data)))


def _series() -> list[bytes]:
    head = "@problemName it\n@timeStamps false\n@univariate {}\n@classLabel true a b\n@data\n"
    one = "".join(f"{i},{i + 1},{i % 5}.5:{'ab'[i % 2]}\n" for i in range(24))
    two = "".join(f"{i},{i + 1}:{i},3:{'ab'[i % 2]}\n" for i in range(24))
    return [(head.format("true") + one).encode(), (head.format("false") + two).encode()]


def _images() -> list[bytes]:
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 8, 3), np.uint8))
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    deep = Image.fromarray(np.arange(72, dtype=np.uint16).reshape(9, 8) * 900)
    found = []
    for image, kind, more in (
        *((picture, kind, {}) for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")),
        (Image.merge("RGBA", [*picture.split(), picture.getchannel(0)]), "PNG", {}),
        (picture.convert("CMYK"), "JPEG", {"exif": upside_down}),
        (deep, "PNG", {}),
        (deep, "TIFF", {}),
    ):
        out = io.BytesIO()
        image.save(out, kind, **more)
        found.append(out.getvalue())
    return found


def _read_images(file: Path, store: Path) -> None:
    good = _valid("image")[0]
    for place in ("a/1.png", "a/2.png", "a/3.png", "a/4.png", "b/1.png", "b/2.png", "b/3.png"):
        target = file.parents[1] / place
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(good)
    _dataset_reader(
        "dataset=image_directory", "dataset.path=x", "dataset.image_size=[8,8]", key=lambda file: file.parents[1]
    )(file, store)


@cache
def shard_files(images: bool) -> dict[str, bytes]:
    """Return the files of a folder of shards."""
    payloads = _valid("image") if images else [np.array([i, -i], "<f4").tobytes() for i in range(ROWS)]
    files, index = {}, {}
    for split in SPLITS:
        starts = np.cumsum([0, *map(len, payloads)])
        index[f"{split}_labels"] = np.arange(len(payloads)) % 2
        index[f"{split}_places"] = np.stack([np.zeros(len(payloads), np.int64), starts[:-1], np.diff(starts)], axis=1)
        files[shard_names(split, 1)[0]] = b"".join(payloads) + bytes(1 << 16)  # room for other places
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **index)
    return {**files, INDEX: out.getvalue(), SHARDS: _described({**files, INDEX: out.getvalue()}, images)}


def _described(files: Mapping[str, bytes], images: bool) -> bytes:
    """Return the metadata of such a folder, with the sizes and digests of its files."""
    sizes = {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()}
    metadata = ShardMetadata(
        kind="equipoise shards 1",
        classes=("a", "b"),
        shape=(8, 8, 3) if images else (2,),
        formats=("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP") if images else (),
        shards=1,
        files=sizes,
        reference={"bayes_accuracy": 0.9},
        notes=("a note",),
    )
    return metadata.model_dump_json().encode()


def _shards_reader(images: bool) -> Callable[[Path, Path], None]:
    read = _dataset_reader("dataset=tfrecord", "dataset.path=x", key=lambda file: file.parent)

    def read_all(file: Path, store: Path) -> None:
        files = {**shard_files(images), file.name: file.read_bytes()}
        if file.name != SHARDS:  # as one who changes it on purpose would describe it
            files[SHARDS] = _described({name: content for name, content in files.items() if name != SHARDS}, images)
        for name, content in files.items():
            (file.parent / name).write_bytes(content)
        read(file, store)

    return read_all


def _read_costs(file: Path, _: Path) -> None:
    tree = composed_tree()
    tree["cost"] = str(file)
    validate(tree)


def _read_gates(file: Path, _: Path) -> None:
    read_gates(str(file))


@cache
def _composed() -> str:
    return json.dumps(composed("dataset=digits_lt", "model=mlp").model_dump(mode="json"))


def composed_tree() -> dict[str, Any]:
    """Return a valid config as plain values."""
    tree: dict[str, Any] = json.loads(_composed())
    return tree


def _read_params(file: Path, _: Path) -> None:
    """Read params as a stage of the pipeline does."""
    validate(read_params(file))


def _checkpoints() -> list[bytes]:
    values = {"history": [{"loss": 0.5}], "made_by": {"config_sha256": "a"}}
    return [
        pack(
            State(
                {"weights": [np.eye(3, dtype=np.float32)], "optimizer": [np.array(3), np.zeros(4)], "best": []}, values
            )
        )
    ]


def _read_checkpoint(file: Path, _: Path) -> None:
    """Read a checkpoint whose name has the digest of its content, as one changed on purpose would have."""
    content = file.read_bytes()
    (file.parent / FOLDER).mkdir()
    (file.parent / FOLDER / f"00000001-{hashlib.sha256(content).hexdigest()}.npz").write_bytes(content)
    found = Checkpoints(file.parent, {"config_sha256": "a"}).newest()
    if found is None:
        raise ConfigError("not gone on with")
    assert all(array.dtype != object for arrays in found.arrays.values() for array in arrays)


@cache
def _run_folder() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox(Path(folder))
        outbox.add(
            "begin",
            adopt=None,
            local_id="0a" * 16,
            experiment="digits_lt",
            name="a run",
            tags={"seed": "0"},
            time=1,
            uri="sqlite:///mlflow.db",
        )
        outbox.add_points(
            [
                {"key": "val/loss", "value": 1 / (step + 1), "step": step, "timestamp": 1_700_000_000_000}
                for step in range(3)
            ]
        )
        for do, what in {
            "params": {"adopted": False, "params": {"seed": "0"}},
            "tags": {"tags": {"late": "yes"}},
            "data": {"name": "it", "digest": "ab", "source": "{}", "profile": "{}"},
            "file": {"file": "weights.json", "to": ""},
            "model": {"folder": "saved-0a/model", "step": 2},
            "end": {"status": "FINISHED", "time": 2},
        }.items():
            outbox.add(do, **what)
        outbox.save()
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _read_run_folder(file: Path, _: Path) -> None:
    for name, content in _run_folder().items():
        if name != file.name:
            (file.parent / name).write_bytes(content)
    outbox = Outbox(file.parent, mend=False)
    outbox.pending()
    for _end, operation in outbox.operations(outbox.uploaded.operations):
        assert operation["do"] != "model" or re.fullmatch(r"saved-\w+/model", operation["folder"]), (
            "that folder is deleted"
        )
    for _end, point in outbox.points(outbox.recorded):
        assert -(2**63) <= point["step"] < 2**63


@cache
def _models() -> list[bytes]:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of TensorFlow, as it is imported
        from equipoise.methods.models import mlp

        mlp((3,), 2, hidden=(4,), dropout=0.5, embedding="auto").save(Path(folder) / "model.keras")
        return [(Path(folder) / "model.keras").read_bytes()]


def _read_model(file: Path, _: Path) -> None:
    load_keras(file, "it")


def _in_stored_zip(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return _in_zip(data, change, zipfile.ZIP_STORED)


@cache
def _prepared() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(
            _dataset(
                "dataset=synthetic",
                "dataset.class_counts=[9,5]",
                "dataset.test_per_class=2",
                "dataset.validation_per_class=2",
            ),
            Path(folder),
        )
        return {file.name: file.read_bytes() for file in made.folder.iterdir()}


def _prepared_reader(damaged: str) -> Callable[[Path, Path], None]:
    def read(file: Path, _: Path) -> None:
        for name, content in _prepared().items():
            if name != damaged:
                (file.parent / name).write_bytes(content)
        _seal_again(file.parent)
        data = open_prepared(file.parent)
        for name in ("train", "validation", "test"):
            samples = data.split(name)
            assert len(samples.features) == len(samples.labels)
            assert samples.features.shape[1:] == data.shape

    return read


def _seal_again(folder: Path) -> None:
    """Write the digests of changed files into the metadata, if these are still JSON."""
    with suppress(ValueError, TypeError):
        metadata = dict(json.loads((folder / METADATA).read_bytes()))
        seal(folder, {key: value for key, value in metadata.items() if key != "sha256"})


KINDS: Mapping[str, Kind] = {
    "csv": Kind("table.csv", _tables, _dataset_reader("dataset=csv", "dataset.path=x", "dataset.target=kind")),
    "csv.gz": Kind(
        "table.csv.gz",
        lambda: [gzip.compress(table) for table in _tables()],
        _dataset_reader("dataset=csv", "dataset.path=x", "dataset.target=kind"),
        _in_gzip,
    ),
    "csv.bz2": Kind(
        "table.csv.bz2",
        lambda: [bz2.compress(table) for table in _tables()],
        _dataset_reader("dataset=csv", "dataset.path=x", "dataset.target=kind"),
    ),
    "csv.xz": Kind(
        "table.csv.xz",
        lambda: [lzma.compress(table) for table in _tables()],
        _dataset_reader("dataset=csv", "dataset.path=x", "dataset.target=kind"),
    ),
    "csv.zip": Kind(
        "table.csv.zip",
        lambda: [_zipped(table) for table in _tables()],
        _dataset_reader("dataset=csv", "dataset.path=x", "dataset.target=kind"),
        _in_zip,
    ),
    "parquet": Kind(
        "table.parquet", _parquets, _dataset_reader("dataset=csv", "dataset.path=x", "dataset.target=kind")
    ),
    "arrow": Kind("table.arrow", _arrows, _dataset_reader("dataset=csv", "dataset.path=x", "dataset.target=kind")),
    "json lines": Kind(
        "table.jsonl", _json_lines, _dataset_reader("dataset=csv", "dataset.path=x", "dataset.target=kind")
    ),
    "npy": Kind("x.npy", _npys, _read_npy),
    "multilabel": Kind(
        "table.csv",
        _label_tables,
        _dataset_reader("dataset=multilabel", "dataset.path=x", "dataset.targets=[colour,kind]", "loss=sigmoid"),
    ),
    "npz": Kind(
        "arrays.npz",
        _npzs,
        _dataset_reader("dataset=npz", "dataset.path=x", "dataset.features=X", "dataset.target=y"),
        _in_zip,
    ),
    "ts": Kind("series.ts", _series, _dataset_reader("dataset=series", "dataset.path=x", "dataset.unequal=pad")),
    "image": Kind("pictures/b/4.png", _images, _read_images),
    "shards' index": Kind(INDEX, lambda: [shard_files(False)[INDEX]], _shards_reader(False), _in_stored_zip),
    "shards' metadata": Kind(
        SHARDS, lambda: [shard_files(images)[SHARDS] for images in (False, True)], _shards_reader(False)
    ),
    "shard": Kind(
        shard_names("train", 1)[0], lambda: [shard_files(True)[shard_names("train", 1)[0]]], _shards_reader(True)
    ),
    "costs": Kind(
        "costs.csv", lambda: [b",0,1\n0,0,5\n1,2.5,0\n", b'true,"a, b",c\n"a, b",0,1\nc,1e3,0\n'], _read_costs
    ),
    "gates": Kind(
        "gates.yaml",
        lambda: [b"- recall/fraud >= 0.8\n- test/ece < 1e-1\n", b"[\"recall/<=50K > 0.5\", 'recall/a: b <= .9']\n"],
        _read_gates,
    ),
    "params": Kind(
        "params.yaml", lambda: [yaml.safe_dump(composed_tree()).encode(), _composed().encode()], _read_params
    ),
    "metadata": Kind(METADATA, lambda: [_prepared()[METADATA]], _prepared_reader(METADATA)),
    "prepared array": Kind(
        "train_labels.npy", lambda: [_prepared()["train_labels.npy"]], _prepared_reader("train_labels.npy")
    ),
    "checkpoint": Kind("state.npz", _checkpoints, _read_checkpoint, _in_zip),
    "journal": Kind(JOURNAL, lambda: [_run_folder()[JOURNAL]], _read_run_folder),
    "outbox": Kind(OPERATIONS, lambda: [_run_folder()[OPERATIONS]], _read_run_folder),
    "uploaded": Kind(UPLOADED, lambda: [_run_folder()[UPLOADED]], _read_run_folder),
    "model": Kind(
        "model.keras", _models, _read_model, _in_stored_zip, slow=True
    ),  # TensorFlow makes a model of what is whole
}
