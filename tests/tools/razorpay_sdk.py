"""Razorpay's own SDK for Python against the simulator, with nothing changed but the base URL.

BASE KEY_ID KEY_SECRET WEBHOOK_SECRET MODE: MODE is `auto` (the simulator takes the payer's step) or `hand`.
"""

import hashlib
import hmac
import json
import sys
import time
import uuid

import razorpay
import requests

base, key_id, key_secret, webhook_secret, mode = sys.argv[1:]
client = razorpay.Client(auth=(key_id, key_secret), base_url=base)


def bank(payment):
    """What the payer's bank does, where the simulator leaves that to us."""
    if mode == "hand":
        answer = requests.post(f"{base}/sim/control/payments/{payment}/authorize", timeout=10)
        assert answer.status_code == 200, answer.text
    end = time.monotonic() + 20
    while time.monotonic() < end:
        now = client.payment.fetch(payment)
        if now["status"] != "created":
            return now
        time.sleep(0.02)
    raise AssertionError(f"{payment} stays created")


def refused(call, words):
    try:
        call()
    except razorpay.errors.BadRequestError as error:
        assert words in str(error).lower(), error
        return
    raise AssertionError(f"{words}: it was not refused")


def sign(text, secret):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


receipt = str(uuid.uuid4())
capture = {"capture": "manual", "capture_options": {"manual_expiry_period": 1440, "refund_speed": "normal"}}
order = client.order.create({"amount": 50_000, "currency": "INR", "receipt": receipt, "payment": capture})
assert client.order.fetch(order["id"])["amount_due"] == 50_000
assert [one["id"] for one in client.order.all({"receipt": receipt})["items"]] == [order["id"]]
assert client.order.edit(order["id"], {"notes": {"event": "Moved"}})["notes"] == {"event": "Moved"}
refused(lambda: client.order.fetch("order_none"), "id")

started = client.payment.createPaymentJson({
    "amount": 50_000, "currency": "INR", "order_id": order["id"], "email": "a@example.com",
    "contact": "+919876543210", "method": "netbanking", "bank": "HDFC",
})
payment = started["razorpay_payment_id"]
if mode == "hand":
    refused(lambda: client.payment.capture(payment, 50_000), "authorized")
assert bank(payment)["status"] == "authorized"
refused(lambda: client.payment.capture(payment, 40_000), "amount")
captured = client.payment.capture(payment, 50_000)
assert captured["status"] == "captured" and captured["fee"] > 0, captured
refused(lambda: client.payment.capture(payment, 50_000), "already been captured")
assert client.order.fetch(order["id"])["status"] == "paid"
assert client.order.payments(order["id"])["items"][0]["id"] == payment
assert any(one["id"] == payment for one in client.payment.all({"count": 10})["items"])

part = client.payment.refund(payment, {"amount": 10_000, "speed": "normal"})
assert client.payment.fetch_refund_id(payment, part["id"])["id"] == part["id"]
assert client.refund.fetch(part["id"])["payment_id"] == payment
refused(lambda: client.payment.refund(payment, {"amount": 40_001}), "greater")
assert client.payment.refund(payment, {"amount": 40_000})["amount"] == 40_000
assert len(client.payment.fetch_multiple_refund(payment, {"count": 10})["items"]) == 2
after = client.payment.fetch(payment)
assert (after["status"], after["amount_refunded"]) == ("refunded", 50_000), after

link = client.payment_link.create({"amount": 50_000, "currency": "INR", "description": "A seat"})
assert client.payment_link.fetch(link["id"])["status"] == "created"
assert client.payment_link.cancel(link["id"])["status"] == "cancelled"

# What Checkout and webhooks are signed with.
client.utility.verify_payment_signature({
    "razorpay_order_id": order["id"], "razorpay_payment_id": payment,
    "razorpay_signature": sign(f"{order['id']}|{payment}", key_secret),
})
body = json.dumps({"entity": "event", "event": "payment.captured"})
client.utility.verify_webhook_signature(body, sign(body, webhook_secret), webhook_secret)

stranger = razorpay.Client(auth=(key_id, "wrong"), base_url=base)
refused(stranger.order.all, "authentication")
print("all is well")
