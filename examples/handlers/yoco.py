"""A handler for Yoco's webhooks, with nothing but Python's own library:

    YOCO_WEBHOOK_SECRET=whsec_… CHECKOUT_ID=ch_… python3 examples/handlers/yoco.py

It listens on port 8080 (PORT) and writes a line into payments.txt (PAYMENTS) for each payment.
"""

import base64
import hashlib
import hmac
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["YOCO_WEBHOOK_SECRET"].removeprefix("whsec_"))
CHECKOUT = os.environ["CHECKOUT_ID"]  # yours are many, and in a database
PAYMENTS = os.environ.get("PAYMENTS", "payments.txt")

seen, lock = set(), threading.Lock()  # yours outlive a restart
open(PAYMENTS, "a").close()  # so that it is there, and can be written


def is_genuine(headers, body):
    """Whether one of the signatures, two while the secret is rotated, fits the bytes as they came."""
    identifier, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent.isdecimal() or abs(time.time() - int(sent)) > 180:
        return False  # Yoco recommends up to 3 minutes
    content = f"{identifier}.{sent}.".encode() + body
    right = b"v1," + base64.b64encode(hmac.digest(KEY, content, hashlib.sha256))
    signatures = headers.get("webhook-signature", "").encode().split(b" ")
    return any(hmac.compare_digest(given, right) for given in signatures)


def handle(identifier, event):
    payment = event["payload"]
    if payment["metadata"]["checkoutId"] != CHECKOUT or payment["mode"] != "live":
        return  # somebody else's, or a test: nothing to do, and no reason to have it sent again
    with lock:
        if identifier not in seen and event["type"] == "payment.succeeded":
            with open(PAYMENTS, "a") as payments:
                payments.write(f"{payment['id']} {payment['amount']} {payment['currency']}\n")
            seen.add(identifier)


class Webhooks(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers["Content-Length"]), 1 << 20))
        self.send_response(self.answer(body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, body):
        if not is_genuine(self.headers, body):
            return 401
        try:
            handle(self.headers["webhook-id"], json.loads(body))
        except (ValueError, KeyError, TypeError):
            return 400  # not what the page describes
        return 200


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # webhooks come in bursts


server = Server(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Webhooks)
print(f"listening on port {server.server_port}", flush=True)
server.serve_forever()
