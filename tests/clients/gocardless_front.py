"""GoCardless' own client library, pointed at hookwheel's GoCardless front.

Listens for webhooks, prints its URL, reads the front's URL from its input, and then does what an
integrator does: runs scenarios, receives and verifies, lists, looks at, and retries. Ends with 0
when everything is as it would be at GoCardless. Started by tests/clients.rs.
"""

import os
import queue
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gocardless_pro
from gocardless_pro import errors, webhooks

SECRET = os.environ["GOCARDLESS_WEBHOOK_ENDPOINT_SECRET"]
SECONDS_MAX = 30

arrived = queue.Queue()
answers = queue.Queue()


class Handler(BaseHTTPRequestHandler):
    """The integrator's webhook handler."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        try:
            parsed = webhooks.parse_with_meta(body, SECRET, self.headers["Webhook-Signature"])
            assert len(webhooks.parse(body, SECRET, self.headers["Webhook-Signature"])) > 0
            status = 204 if answers.empty() else answers.get()
            arrived.put((body, parsed))
        except errors.InvalidSignatureError:
            status = 498
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


def next_webhook():
    """The next webhook that arrives and is genuine."""
    return arrived.get(timeout=SECONDS_MAX)


def eventually(ask):
    """Asks until the answer is something: an attempt is on record a moment after it was answered."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
    raise AssertionError("it should have happened by now")


def refused(kind, ask):
    """The error of this kind that the call raises."""
    try:
        ask()
    except kind as error:
        assert str(error), error
        return error
    raise AssertionError("it should have been refused")


def run(client, scenario, resource):
    params = {"links": {"resource": resource}}
    ran = client.scenario_simulators.run(scenario, params=params)
    assert ran.id == scenario, ran.attributes


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("http://127.0.0.1:{}/webhooks".format(server.server_port), flush=True)
    front = sys.stdin.readline().strip()
    client = gocardless_pro.Client(access_token="sandbox_token", base_url=front, timeout=10)

    answers.put(500)
    run(client, "payment_paid_out", "PM0001")
    body, parsed = next_webhook()
    actions = [(event.resource_type, event.action) for event in parsed.events]
    assert actions == [
        ("payments", "submitted"),
        ("payments", "confirmed"),
        ("payments", "paid_out"),
        ("payouts", "paid"),
    ], actions
    assert parsed.events[0].links.payment == "PM0001"
    assert parsed.events[2].links.payout == parsed.events[3].links.payout
    assert parsed.events[2].details.cause == "payment_paid_out"

    listed = eventually(lambda: client.webhooks.list(params={"successful": False}).records)
    assert [webhook.id for webhook in listed] == [parsed.webhook_id], listed
    assert listed[0].response_code == 500 and listed[0].is_test is False
    retried = client.webhooks.retry(parsed.webhook_id)
    assert retried.id == parsed.webhook_id
    again, _ = next_webhook()
    assert again == body, "the same webhook"
    get = lambda: client.webhooks.get(parsed.webhook_id)
    eventually(lambda: get().successful)
    webhook = get()
    assert webhook.response_code == 204 and webhook.request_body == body
    assert webhook.request_headers["Webhook-Signature"], webhook.request_headers
    assert client.webhooks.list(params={"successful": False}).records == []

    sent = [parsed.webhook_id]
    for scenario in ["mandate_activated", "mandate_failed", "mandate_transferred"]:
        run(client, scenario, "MD0001")
        sent.insert(0, next_webhook()[1].webhook_id)
    pages = lambda: [webhook.id for webhook in client.webhooks.all(params={"limit": 2})]
    eventually(lambda: pages() == sent)
    since = client.webhooks.get(sent[1]).created_at
    newer = client.webhooks.list(params={"created_at[gt]": since}).records
    assert [webhook.id for webhook in newer] == sent[:1], newer

    error = refused(errors.InvalidApiUsageError, lambda: client.webhooks.get("WB123"))
    assert error.code == 404 and error.errors[0]["reason"] == "resource_not_found", error.error
    refused(errors.ValidationFailedError, lambda: run(client, "payment_failed", "MD0001"))
    refused(errors.InvalidApiUsageError, lambda: run(client, "refund_paid", "RF0001"))
    nobody = gocardless_pro.Client(access_token="", base_url=front, timeout=10)
    refused(errors.AuthenticationError, nobody.webhooks.list)
    assert arrived.empty(), "nothing was sent but what was asked for"


main()
