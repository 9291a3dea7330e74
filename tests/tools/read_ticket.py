"""read_ticket.py FILE...: what others read in tickets (.pdf, .png, .ics) and in mails with them (.eml); JSON by the names of the files."""

import email.policy
import io
import json
import pathlib
import struct
import sys
import zlib
from email.parser import BytesParser

import icalendar
import pypdf
import pypdfium2
import zxingcpp

# A page at 150 dots an inch, as a modest printer has it.
SCALE = 150 / 72


def codes(pixels, width, height):
    """The QR codes in a picture of one byte a pixel, grey."""
    view = memoryview(bytes(pixels)).cast("B", shape=[height, width])
    return [code.text for code in zxingcpp.read_barcodes(view) if code.format == zxingcpp.BarcodeFormat.QRCode]


def fonts_embedded(page):
    """Whether the page brings all its fonts, without which another machine would print it in others."""
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
    descendants = [part.get_object() for font in fonts for part in font.get("/DescendantFonts", [font])]
    return all(any(name.startswith("/FontFile") for name in font["/FontDescriptor"]) for font in descendants)


def pdf(raw):
    read = pypdf.PdfReader(io.BytesIO(raw), strict=True)
    document = pypdfium2.PdfDocument(raw)
    page = document[0]
    picture = page.render(scale=SCALE, grayscale=True)
    lines = bytes(picture.buffer)
    grey = b"".join(lines[y * picture.stride : y * picture.stride + picture.width] for y in range(picture.height))
    coloured = page.render(scale=SCALE, rev_byteorder=True, force_bitmap_format=pypdfium2.raw.FPDFBitmap_BGRx)
    data = bytes(coloured.buffer)
    return {
        "pages": len(read.pages),
        "size": [float(side) for side in read.pages[0].mediabox[2:]],
        "title": read.metadata.title if read.metadata else None,
        # By pdfium, because pypdf takes letters that are drawn by several glyphs apart.
        "text": page.get_textpage().get_text_range(),
        "fonts_embedded": fonts_embedded(read.pages[0]),
        "qr": codes(grey, picture.width, picture.height),
        # Nothing on it is told by its colour: no pixel has one.
        "grey": data[0::4] == data[1::4] == data[2::4],
        "ink": sum(pixel < 128 for pixel in grey) / len(grey),
    }


def png(data):
    """The QR codes in a grey picture of one bit a pixel."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    at, packed, head = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0]
        head = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else head
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    width, height, depth, colour = head[:4]
    assert (depth, colour) == (1, 0), "not grey of one bit"
    lines, line = zlib.decompress(packed), -(-width // 8)
    grey, above = bytearray(), bytes(line)
    for y in range(height):
        kind, raw = lines[y * (line + 1)], bytearray(lines[y * (line + 1) + 1 : (y + 1) * (line + 1)])
        for x in range(line):
            left, up = raw[x - 1] if x else 0, above[x]
            corner = above[x - 1] if x else 0
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda one: abs(guess - one))
            raw[x] = (raw[x] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        grey += bytes(255 * (raw[x // 8] >> (7 - x % 8) & 1) for x in range(width))
        above = raw
    return {"width": width, "height": height, "qr": codes(grey, width, height)}


def person(value):
    return value and {"address": str(value), **{name: str(param) for name, param in value.params.items()}}


def moment(value):
    if value is None:
        return None
    # With the zone that the file itself defines, and in UTC.
    return {
        "local": value.dt.replace(tzinfo=None).isoformat(),
        "zone": value.params.get("TZID", "UTC"),
        "at": value.dt.timestamp() * 1000,
    }


def ics(raw):
    assert all(len(line) <= 75 for line in raw.split(b"\r\n")), "a line is too long"
    calendar = icalendar.Calendar.from_ical(raw)
    (event,) = calendar.events
    assert not calendar.errors and not event.errors, (calendar.errors, event.errors)

    def text(name):
        return None if event.get(name) is None else str(event[name])

    return {
        "method": str(calendar["METHOD"]),
        "zones": [str(zone["TZID"]) for zone in calendar.timezones],
        "uid": text("UID"),
        "sequence": int(event["SEQUENCE"]),
        "status": text("STATUS"),
        "summary": text("SUMMARY"),
        "location": text("LOCATION"),
        "description": text("DESCRIPTION"),
        "starts": moment(event.get("DTSTART")),
        "ends": moment(event.get("DTEND")),
        "organizer": person(event.get("ORGANIZER")),
        "attendee": person(event.get("ATTENDEE")),
    }


def eml(raw):
    """Its subject, and what it brings along by its type; the type of an entry for a calendar says its method, too."""
    message = BytesParser(policy=email.policy.default).parsebytes(raw)
    kinds = {"application/pdf": pdf, "image/png": png, "text/calendar": ics}
    brought = {}
    for part in message.walk():
        kind = part.get_content_type()
        if kind in kinds:
            read = kinds[kind](part.get_payload(decode=True))
            if kind == "text/calendar":
                assert part["Content-Type"].params["method"] == read["method"]
            brought[kind.split("/")[1]] = {"name": part.get_filename(), **read}
    return {"subject": str(message["Subject"]), "text": message.get_body(("plain",)).get_content(), **brought}


readers = {".pdf": pdf, ".png": png, ".ics": ics, ".eml": eml}
paths = [pathlib.Path(name) for name in sys.argv[1:]]
json.dump({path.name: readers[path.suffix](path.read_bytes()) for path in paths}, sys.stdout)
