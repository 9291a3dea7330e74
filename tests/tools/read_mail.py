"""read_mail.py DIRECTORY: what Python's parser of mail reads in the .eml files of a folder, as JSON by the names of the files."""

import email.policy
import email.utils
import json
import pathlib
import sys
from email.header import decode_header, make_header
from email.parser import BytesParser


def words(raw):
    # By the older interface: of a name in several encoded words the newer one keeps the blanks between them, in all but the latest
    # releases (https://github.com/python/cpython/issues/128110), which RFC 2047 section 6.2 says are none.
    return str(make_header(decode_header(raw)))


def read(path):
    plain = BytesParser(policy=email.policy.compat32).parsebytes(path.read_bytes(), headersonly=True)
    message = BytesParser(policy=email.policy.default).parsebytes(path.read_bytes())
    # What is no header, or not as the RFCs have it, is a defect.
    for part in message.walk():
        assert not part.defects, f"{path.name}: {part.defects}"
        for name, value in part.items():
            assert not getattr(value, "defects", ()), f"{path.name}: {name}: {value.defects}"

    def mailbox(name):
        if message[name] is None:
            return None
        (address,) = message[name].addresses
        display, spec = email.utils.parseaddr("".join(plain[name].splitlines()))
        assert spec == address.addr_spec, f"{path.name}: {spec} or {address.addr_spec}"
        return [words(display), spec]

    def line(name):
        return message[name] and words("".join(plain[name].splitlines()))

    def body(kind):
        return message.get_body((kind,)).get_content().replace("\r\n", "\n").rstrip("\n")

    return {
        "from": mailbox("From"),
        "reply_to": mailbox("Reply-To"),
        "to": mailbox("To"),
        "subject": line("Subject"),
        "message_id": line("Message-ID"),
        "date": message["Date"].datetime.astimezone().timestamp() * 1000,
        "auto_submitted": line("Auto-Submitted"),
        "list_unsubscribe": line("List-Unsubscribe"),
        "list_unsubscribe_post": line("List-Unsubscribe-Post"),
        "text": body("plain"),
        "html": body("html"),
        "attachments": [part.get_filename() for part in message.iter_attachments()],
    }


mails = {path.name: read(path) for path in sorted(pathlib.Path(sys.argv[1]).glob("*.eml"))}
json.dump(mails, sys.stdout)
