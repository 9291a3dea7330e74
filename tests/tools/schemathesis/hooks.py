"""What JSON Schema cannot say of the API, for schemathesis: the forms behind the document's own `format`s, that names and
details can be seen, amounts in whole paise, and that an Idempotency-Key belongs to one body.
"""

import datetime
import uuid

import schemathesis
from hypothesis import strategies as st

# Several scripts, in and out of the basic plane, with nothing invisible.
VISIBLE = st.sampled_from("abcXYZ019-_'&/éßİςअআ東語한عש😀")
STREAM_URL = "https://youtu.be/dQw4w9WgXcQ"
INVISIBLE = "\u115f\u1160\u3164\uffa0"  # fillers, which are letters to Unicode

for name, values in {
    "phone": st.from_regex(r"\A\+9198765[0-9]{5}\Z"),
    "email": st.from_regex(r"\A[a-z][a-z0-9]{0,20}@[a-z]{1,20}\.example\Z"),
    "password": st.text(VISIBLE, min_size=8, max_size=60),
    "iana-time-zone": st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Europe/Berlin"]),
    "emoji": st.sampled_from(["👏", "🎉", "❤️", "👍🏽", "🇮🇳"]),
    "stream-url": st.just(STREAM_URL),
    "https-url": st.just("https://meet.example.org/rust"),
    "tag": st.text(VISIBLE, min_size=1, max_size=30),
    "language-tag": st.sampled_from(["en", "en-IN", "hi", "zh-Hant-TW"]),
    "date": st.dates(min_value=datetime.date(1970, 1, 2)).map(str),
    "date-time-local": st.datetimes(min_value=datetime.datetime(1970, 1, 2)).map(datetime.datetime.isoformat),
    "date-time": st.datetimes(min_value=datetime.datetime(1970, 1, 2)).map(lambda at: at.isoformat() + "Z"),
}.items():
    schemathesis.openapi.format(name, values)


@schemathesis.hook
def before_call(context, case, kwargs):
    key = case.headers and case.headers.get("Idempotency-Key")
    without = getattr(case.meta and case.meta.phase.data, "parameter", None)  # a header that is left out on purpose
    # A stream has an address unless its encoder sends here, which no schema says.
    positive = case.meta is None or case.meta.generation.mode.is_positive
    body = case.body
    if positive and isinstance(body, dict) and body.get("kind") in ("ingest", "hls", "embed", "meeting"):
        body.pop("url", None)
        if body["kind"] != "ingest":
            body["url"] = STREAM_URL
    # An event has an address unless it is online, ends after it begins, and opens before it closes, which no schema says either.
    if positive and isinstance(body, dict) and case.path in ("/api/organiser/create_event", "/api/organiser/events/{id}"):
        for name in ("ends_at", "registration_opens_at"):
            if name in body:
                body[name] = None
        if case.path.endswith("create_event") and not body.get("event_add"):
            body["event_add"] = "Hall 7"
    # Quiet hours end at another time than they begin.
    hours = body.get("quiet_hours") if isinstance(body, dict) else None
    if positive and isinstance(hours, dict) and hours.get("from") == hours.get("to"):
        body["quiet_hours"] = None
    # An announcement is sent now or later, which is no schema's matter.
    if positive and isinstance(body, dict) and case.path == "/api/organiser/events/{id}/announcements":
        body.pop("send_at", None)
    if isinstance(key, str) and 1 <= len(key) <= 255 and without != "Authorization":
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


def visible(text):
    return "".join(c if c.isalnum() and c not in INVISIBLE else "x" for c in text)


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict):
        for name in ("name", "e_name", "e_details", "event_add", "text", "subject", "question", "title", "code", "nonce", "gate", "reason", "sms", "token"):
            value = body.get(name)
            if isinstance(value, str):
                body[name] = visible(value)
        options = body.get("options")
        if isinstance(options, list) and all(isinstance(option, str) for option in options):
            body["options"] = [f"{at} {visible(option)[:190]}" for at, option in enumerate(options)]
        for name in ("amount", "fees", "refund"):
            value = body.get(name)
            if isinstance(value, float) and 0 <= value <= 10_000_000:
                body[name] = 0 if value < 1 else round(value, 2)
    return body
