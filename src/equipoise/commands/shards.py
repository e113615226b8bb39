"""Write data as TFRecord shards: `python src/shards.py dataset=npz dataset.path=arrays.npz shards=16 output=folder`.

Takes dataset=… and its options as train.py does, and writes the prepared splits. Images stay encoded as they are. To
train on the shards, on any machine: dataset=tfrecord dataset.path=folder.
"""

from collections.abc import Sequence
from pathlib import Path

from equipoise.config.checked import compose_dataset
from equipoise.config.tree import divided
from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.paths import cache_folder
from equipoise.core.terminal import console
from equipoise.core.typed import as_typed
from equipoise.data.prepare import prepare
from equipoise.training import runtime

OWN = ("shards", "output")


def shard(typed: Sequence[str]) -> None:
    tree, typed = divided(typed)
    options = key_values.read([word for word in typed if word.partition("=")[0] in OWN], OWN)
    if "output" not in options:
        raise ConfigError("output is not set: name the folder for the shards, output=folder")
    shards, output = key_values.whole_number(options, "shards") or 16, Path(options["output"]).expanduser()
    dataset = compose_dataset([word for word in typed if word.partition("=")[0] not in OWN], tree)
    data = prepare(dataset, cache_folder())
    runtime.start("cpu", "auto", deterministic=True)
    from equipoise.data.write_shards import write_shards

    weight = getattr(dataset, "weight", None)
    write_shards(data, output, shards, weight)
    sizes = " + ".join(f"{len(data.split(name).labels):,}" for name in ("train", "validation", "test"))
    console.print(
        f"{sizes} samples (train, validation, test) in {shards} shards a split in {output}. To train on them:",
        soft_wrap=True,
    )
    more = f" {as_typed('dataset.weight', weight)}" if weight else ""
    console.print(f"  {command('train')} dataset=tfrecord dataset.path={output.resolve()}{more}", soft_wrap=True)


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, shard)
