"""Makes the data that a later release has to take over: python3 tests/tools/release_data.py target/release/organise-event

Starts the program of today on an empty directory, drives stories through its gateway, asks for everything that can be asked
for, stops it, and packs the database files and the answers as tests/data/release-DATE.tar.xz, for tests/tests/blackbox/upgrade.rs.
Run it for a release, and keep what earlier releases wrote.
"""

import datetime
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

PASSWORD = "a password of that time"
NAMES = ["organizer", "asha", "bela", "chandra", "devi"]
# They are in the test's system too: tokens and webhooks are signed with them.
SECRET = "a secret of the tests, long enough to sign with"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Client:
    def __init__(self, base):
        self.base = base
        self.tokens = {}

    def call(self, name, method, path, body=None, key=None, expected=(200, 201, 202)):
        headers = {"content-type": "application/json"}
        if name in self.tokens:
            headers["authorization"] = "Bearer " + self.tokens[name]
        if key:
            headers["idempotency-key"] = key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        answer = json.loads(text) if text else None
        if status not in expected:
            sys.exit(f"{method} {path} as {name}: {status} {answer}")
        return answer

    def event(self, name, seats, fees, when):
        body = {"e_name": name, "e_details": f"{name}, wie immer: Grüße, नमस्ते", "event_time": when, "event_add": "Online",
                "capacity": seats, "fees": fees, "timezone": "Asia/Kolkata"}
        return self.call("organizer", "POST", "/api/organiser/create_event", body)["event_id"]

    def register(self, name, event):
        return self.call(name, "POST", "/api/reg/register_event", {"event_id": event})["registration_id"]

    def pay(self, name, event, amount, details=None, key=None, expected=(200,)):
        body = {"event_id": event, "amount": amount, "user_id": self.ids[name], "payment_method": "upi"}
        if details:
            body["payment_details"] = details
        return self.call(name, "POST", "/api/payment/process_payment", body, key, expected)


def wait(what, condition):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    sys.exit(f"waited in vain: {what}")


def stories(client):
    client.ids = {}
    for name in NAMES:
        body = {"email": f"{name}@example.com", "password": PASSWORD, "name": name.title(), "phone": "+919812345678",
                "role": "organizer" if name == "organizer" else "user"}
        client.ids[name] = client.call(name, "POST", "/api/users/register", body)["user_id"]
        login = {"email": body["email"], "password": PASSWORD}
        client.tokens[name] = client.call(None, "POST", "/api/users/login", login)["token"]
    free = client.event("Rust Evening", None, 0, "2091-01-31T18:44:06.000")
    paid = client.event("Konzert in München", 3, 499.5, "2091-02-28T20:00:00.000")
    off = client.event("Called off", 10, 100, "2091-03-31T09:00:00.000")
    held = client.event("Held", 10, 250, "2091-04-30T09:00:00.000")
    for name in NAMES[1:4]:
        client.register(name, free)
    client.call("chandra", "DELETE", "/api/reg/registrations/" + client.register("chandra", off))
    client.call("organizer", "PATCH", f"/api/organiser/events/{free}", {"event_add": "Hall 7"})
    # Paid at once, under a key; paid after a decline; paid and cancelled, so refunded; held only.
    client.register("asha", paid)
    client.pay("asha", paid, 499.5, key="of that time")
    client.register("bela", paid)
    client.pay("bela", paid, 499.5, {"vpa": "failure@razorpay"}, expected=(402,))
    client.pay("bela", paid, 499.5)
    cancelled = client.register("chandra", paid)
    client.pay("chandra", paid, 499.5)
    client.call("chandra", "DELETE", f"/api/reg/registrations/{cancelled}")
    client.register("asha", off)
    client.pay("asha", off, 100)
    client.call("organizer", "POST", f"/api/organiser/events/{off}/cancel")
    client.register("devi", held)

    def refunded(name):
        payments = client.call(name, "GET", "/api/payment/payments")
        return any(payment["status"] == "refunded" for payment in payments)

    wait("refunds", lambda: refunded("asha") and refunded("chandra"))
    wait("letters", lambda: all(
        not any(letter["status"] == "queued" for letter in client.call(name, "GET", "/api/notifications")) for name in NAMES))
    return {"free": free, "paid": paid, "off": off, "held": held}


def answers(client, events):
    """What has to be answered alike by all later releases, but for the event whose hold runs out meanwhile."""
    asked = [("", "/api/events?limit=100"), ("", "/api/events?q=munchen"), ("organizer", "/api/organiser/events")]
    asked += [("", f"/api/events/{events[name]}") for name in ["free", "paid", "off"]]
    for name in NAMES[:4]:
        asked += [(name, "/api/users/me"), (name, "/api/notifications?limit=100"), (name, "/api/payment/payments")]
    for name in NAMES[1:4]:
        asked += [(name, "/api/reg/get_registrevent?limit=100"), (name, "/api/reg/get_registrevent?status=cancelled")]


    def ask(name, path):
        answer = client.call(name, "GET", path)
        if isinstance(answer, list):
            answer = [one for one in answer if one.get("event_id") != events["held"]]
        return {"who": name, "path": path, "answer": answer}

    return [ask(name, path) for name, path in asked]


def main():
    program = os.path.abspath(sys.argv[1])
    out = pathlib.Path(__file__).parent.parent / "data" / f"release-{datetime.date.today()}.tar.xz"
    with tempfile.TemporaryDirectory() as dir:
        ports = {name: str(free_port()) for name in ["RAZORPAY_SIMULATOR_PORT", "USERS_PORT", "EVENTS_PORT",
                                                      "NOTIFICATIONS_PORT", "PAYMENTS_PORT", "GATEWAY_PORT", "INGEST_PORT", "RTMP_PORT"]}
        env = {"DATA_DIR": "data", "JWT_SECRET": SECRET, "LOG": "warn", **ports}
        process = subprocess.Popen([program], cwd=dir, env=env, stdout=subprocess.DEVNULL)
        client = Client(f"http://127.0.0.1:{ports['GATEWAY_PORT']}")

        def ready():
            try:
                return urllib.request.urlopen(client.base + "/health/ready", timeout=5).status == 200
            except OSError:
                return False

        try:
            wait("the start", ready)
            events = stories(client)
            key = {"name": "of that time", "scopes": ["events:read"]}
            key = client.call("organizer", "POST", "/api/users/api_keys", key)["api_key"]
            told = {"password": PASSWORD, "events": events, "users": client.ids, "api_key": key,
                    "answers": answers(client, events)}
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
        data = pathlib.Path(dir) / "data"
        with tarfile.open(out, "w:xz") as archive:
            for path in sorted(data.iterdir()):
                if ".db" in path.name or path.name.startswith("razorpay_"):
                    archive.add(path, path.name)
            text = json.dumps(told, indent=1, ensure_ascii=False).encode()
            entry = tarfile.TarInfo("answers.json")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    print(f"{out}: {out.stat().st_size} bytes")


main()
