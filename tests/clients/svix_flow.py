"""Svix's own Python client against hookwheel: the whole flow of a platform, unchanged.

    svix_flow.py BASE_URL TOKEN

The server must allow local addresses. Ends with an exception, and so another exit code than 0,
when anything is not as a user of that client relies on it.
"""

import json
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from svix.api import (
    AppPortalAccessIn,
    ApplicationIn,
    ApplicationListOptions,
    ApplicationPatch,
    EndpointHeadersIn,
    EndpointIn,
    EndpointPatch,
    EndpointSecretRotateIn,
    EndpointUpsertIn,
    EventExampleIn,
    EventTypeIn,
    EventTypeUpsertIn,
    MessageAttemptListByEndpointOptions,
    MessageCreateOptions,
    MessageGetOptions,
    MessageIn,
    MessageListOptions,
    MessageStatus,
    RecoverIn,
    ReplayIn,
    Svix,
    SvixOptions,
)
from svix.api.message import message_in_raw
from svix.exceptions import HttpError, HTTPValidationError
from svix.webhooks import Webhook


class Receiver:
    """An endpoint: keeps what arrives, and answers with the status that it is told."""

    def __init__(self):
        self.received = []
        self.status = 200
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with outer.changed:
                    outer.received.append((dict(self.headers.items()), body))
                    status = outer.status
                    outer.changed.notify_all()
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks"

    def wait_for(self, count):
        """What arrived, once that many did."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received) >= count, 20), (
                f"{len(self.received)} of {count} webhooks arrived"
            )
            return list(self.received)


def until(condition, what):
    """Waits until a condition of the server holds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def verified(secret, body, headers):
    """The body of a webhook that is genuine."""
    Webhook(secret).verify(body, headers)
    return json.loads(body)


def refused(status, call):
    """The error of a call that has to be refused."""
    try:
        call()
    except (HttpError, HTTPValidationError) as error:
        assert error.status_code == status, f"{error.status_code} instead of {status}: {error}"
        return error
    raise AssertionError(f"not refused with {status}")


def main(base, token):
    svix = Svix(token, SvixOptions(server_url=base))
    receiver = Receiver()

    # Applications, by uid wherever an id goes.
    app = svix.application.create(ApplicationIn(name="Shop", uid="shop-1", throttle_rate=500))
    assert svix.application.get("shop-1").id == app.id
    assert svix.application.get_or_create(ApplicationIn(name="Shop", uid="shop-1")).id == app.id
    refused(409, lambda: svix.application.create(ApplicationIn(name="Other", uid="shop-1")))
    assert refused(404, lambda: svix.application.get("shop-2")).code == "not_found"
    refused(422, lambda: svix.application.create(ApplicationIn(name="", uid="shop-3")))
    patched = svix.application.patch("shop-1", ApplicationPatch(metadata={"country": "NO"}))
    assert patched.metadata == {"country": "NO"} and patched.name == "Shop"
    for number in range(5):
        svix.application.create(ApplicationIn(name=f"Shop {number}"))
    seen, iterator = [], None
    while True:
        page = svix.application.list(ApplicationListOptions(limit=2, iterator=iterator))
        seen += [held.id for held in page.data]
        iterator = page.iterator
        if page.done:
            break
    assert len(seen) == len(set(seen)) == 6, seen

    # Event types with their schemas.
    schema = {"1": {"type": "object", "examples": [{"orderId": "ord_0"}]}}
    svix.event_type.create(EventTypeIn(name="order.created", description="new", schemas=schema))
    refused(409, lambda: svix.event_type.create(EventTypeIn(name="order.created", description="")))
    svix.event_type.upsert("order.paid", EventTypeUpsertIn(description="paid"))
    assert svix.event_type.get("order.created").schemas == schema
    svix.event_type.delete("order.paid")
    assert [held.name for held in svix.event_type.list().data] == ["order.created"]

    # An endpoint without a provider is a Standard Webhooks endpoint.
    endpoint = svix.endpoint.create(
        "shop-1", EndpointIn(url=receiver.url, uid="main", event_types=["order.created"])
    )
    assert endpoint.disabled is False and endpoint.event_types == ["order.created"]
    secret = svix.endpoint.get_secret("shop-1", "main").key
    svix.endpoint.patch("shop-1", "main", EndpointPatch(description="orders"))
    assert svix.endpoint.get("shop-1", "main").description == "orders"
    svix.endpoint.set_headers("shop-1", "main", EndpointHeadersIn(headers={"X-Region": "eu"}))
    assert svix.endpoint.get_headers("shop-1", "main").headers == {"X-Region": "eu"}

    # A message arrives, signed for Svix's own verification.
    data = {"orderId": "ord_1", "total": 1200}
    message = svix.message.create(
        "shop-1", MessageIn(event_type="order.created", payload=data, event_id="evt-1")
    )
    headers, body = receiver.wait_for(1)[0]
    assert verified(secret, body, headers)["data"] == data
    assert headers["webhook-id"] == message.id and headers["X-Region"] == "eu"
    shown = svix.message.get("shop-1", "evt-1", MessageGetOptions(with_content=True))
    assert shown.payload == data and shown.id == message.id
    refused(
        409,
        lambda: svix.message.create(
            "shop-1", MessageIn(event_type="order.created", payload={}, event_id="evt-1")
        ),
    )

    # Bytes that must not change.
    raw = '{ "orderId":1.0,"orderId" : 2 }'
    kept = svix.message.create("shop-1", message_in_raw("order.raw", raw))
    shown = httpx.get(
        f"{base}/api/v1/app/shop-1/msg/{kept.id}", headers={"authorization": f"Bearer {token}"}
    )
    assert raw in shown.text, shown.text

    # The same idempotency key: one message; with another body it is refused.
    same = MessageCreateOptions(idempotency_key="key-1")
    ids = {
        svix.message.create("shop-1", MessageIn(event_type="order.paid", payload=data), same).id
        for _ in range(2)
    }
    assert len(ids) == 1, ids
    other = MessageIn(event_type="order.paid", payload={"other": True})
    refused(409, lambda: svix.message.create("shop-1", other, same))

    # Attempts.
    def attempts():
        return svix.message_attempt.list_by_msg("shop-1", message.id).data

    until(lambda: len(attempts()) == 1, "the attempt is on record")
    attempt = attempts()[0]
    assert attempt.status == MessageStatus.SUCCESS and attempt.response_status_code == 200
    assert svix.message_attempt.get("shop-1", message.id, attempt.id).endpoint_id == endpoint.id
    listed = svix.message_attempt.list_by_endpoint("shop-1", "main")
    assert [held.id for held in listed.data] == [attempt.id]
    attempted = svix.message_attempt.list_attempted_messages("shop-1", "main").data
    assert [(held.id, held.status) for held in attempted] == [(message.id, 0)]
    destinations = svix.message_attempt.list_attempted_destinations("shop-1", message.id).data
    assert [held.id for held in destinations] == [endpoint.id]

    # Resend.
    svix.message_attempt.resend("shop-1", message.id, "main")
    headers, again = receiver.wait_for(2)[1]
    assert headers["webhook-id"] == message.id
    assert json.loads(again) == json.loads(body)
    until(lambda: len(attempts()) == 2, "the second attempt is on record")
    assert attempts()[0].trigger_type == 1

    # Rotate: both secrets verify for a while.
    svix.endpoint.rotate_secret(
        "shop-1", "main", EndpointSecretRotateIn(grace_period_seconds=60)
    )
    assert svix.endpoint.get_secret("shop-1", "main").key != secret
    example = svix.endpoint.send_example(
        "shop-1", "main", EventExampleIn(event_type="order.created")
    )
    headers, body = receiver.wait_for(3)[2]
    for key in (secret, svix.endpoint.get_secret("shop-1", "main").key):
        assert verified(key, body, headers)["data"] == {"orderId": "ord_0"}
    assert headers["webhook-id"] == example.id

    # Recover what was missed while the endpoint was disabled, and what came before it was made.
    begin = datetime.now(timezone.utc) - timedelta(hours=1)
    svix.endpoint.patch("shop-1", "main", EndpointPatch(disabled=True))
    for number in range(3):
        svix.message.create(
            "shop-1", MessageIn(event_type="order.created", payload={"number": number})
        )
    svix.endpoint.upsert("shop-1", "main", EndpointUpsertIn(url=receiver.url, uid="main"))
    assert svix.endpoint.get("shop-1", "main").event_types is None
    task = svix.endpoint.recover("shop-1", "main", RecoverIn(since=begin))
    until(
        lambda: svix.background_task.get(task.id).status == "finished",
        "the recovery is finished",
    )
    assert {json.loads(held[1])["data"].get("number") for held in receiver.wait_for(6)[3:]} == {
        0,
        1,
        2,
    }
    task = svix.endpoint.replay_missing("shop-1", "main", ReplayIn(since=begin))
    until(lambda: svix.background_task.get(task.id).status == "finished", "the replay is finished")
    received = receiver.wait_for(8)
    replayed = {json.loads(held[1])["type"] for held in received[6:]}
    assert replayed == {"order.paid", "order.raw"}, replayed
    until(lambda: svix.endpoint.get_stats("shop-1", "main").success >= 6, "statistics")

    # Failures are told.
    receiver.status = 500
    failed = svix.message.create("shop-1", MessageIn(event_type="order.created", payload={}))
    receiver.wait_for(9)
    fails = MessageAttemptListByEndpointOptions(status=MessageStatus.FAIL)
    until(
        lambda: [
            held.msg_id
            for held in svix.message_attempt.list_by_endpoint("shop-1", "main", fails).data
        ]
        == [failed.id],
        "the failed attempt is listed",
    )

    # Expunge, list, delete.
    svix.message.expunge_content("shop-1", message.id)
    assert svix.message.get("shop-1", message.id, MessageGetOptions(with_content=True)).payload == {}
    assert len(svix.message.list("shop-1", MessageListOptions(limit=100)).data) == 8
    svix.endpoint.delete("shop-1", "main")
    refused(404, lambda: svix.endpoint.get("shop-1", "main"))
    svix.application.delete("shop-1")
    refused(404, lambda: svix.application.get("shop-1"))

    # Access for one application only.
    own, other = seen[1:3]
    access = svix.authentication.app_portal_access(own, AppPortalAccessIn(expiry=600))
    portal = Svix(access.token, SvixOptions(server_url=base))
    assert [held.id for held in portal.application.list().data] == [own]
    refused(404, lambda: portal.application.get(other))
    refused(404, lambda: portal.endpoint.list(other))
    refused(401, lambda: Svix("hw_wrong", SvixOptions(server_url=base)).application.list())


if __name__ == "__main__":
    main(*sys.argv[1:])
