"""examples/spam_mails.py: what it reads of mails, of a package that is made here."""

import csv
import io
import json
import tarfile
from pathlib import Path

import pytest

from helpers import composed_dataset, program_of

HTML = """Subject: =?iso-8859-1?q?Caf=E9_offer?=
Content-Type: text/html; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<html><style>p {color: red}</style><body><p>Pay&nbsp;=35 now<!-- hidden --></p></body></html>
"""
MAILS = {
    "easy-ham-1/00001.a.json": "From: a\nSubject: Re: [list] Lunch\n today\n\nAt noon?\n",
    "easy-ham-2/00002.b.json": "From: b\nSubject: lunch today\n\nFine.\n",
    "hard-ham-1/00003.c.json": HTML,
    "spam-1/00004.d.json": "From: d\nSubject: \n\n",
    "spam-2/00005.e.json": "From: e\nSubject: WIN\n\nMoney \ud800\n",
    "file_list.json": "none",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "mails.tgz", "w:gz") as archive:
        for name, text in MAILS.items():
            group, _, file = name.rpartition("/")
            data = json.dumps({"id": file[:5], "group": group, "text": text}).encode()
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return tmp_path / "mails.tgz"


def test_a_row_is_what_people_read_of_a_mail(package: Path) -> None:
    program_of("examples/spam_mails.py").main(package, package.parent / "data" / "mails.csv")
    with open(package.parent / "data" / "mails.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["body", "kind", "thread"],
        ["Re: [list] Lunch today At noon?", "easy", "lunch today"],
        ["lunch today Fine.", "easy", "lunch today"],
        ["Café offer Pay 5 now", "hard", "café offer"],
        ["WIN Money ?", "spam", "win"],
    ], "a mail without a word is left out"


def test_the_recipe_reads_such_a_table() -> None:
    dataset = composed_dataset("experiment=spam_mails")
    assert (dataset.text, dataset.target, dataset.group) == ("body", "kind", "thread")
