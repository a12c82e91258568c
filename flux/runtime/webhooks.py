"""The function that takes events to webhooks: signed by the Standard Webhooks scheme, posted once an attempt.

It runs as a job like any other, so the receiver's answer is a tool call of its record, and a failure is tried again.
The body is the event as CloudEvents writes it in JSON; `webhook-id` is its id, the same at each attempt.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flux.config import Project, Webhook
from flux.encoding import to_json
from flux.errors import BadSigningSecret, Discard, NotFound, Retry
from flux.runtime.arguments import Arguments
from flux.runtime.definition import OWN_PREFIX
from flux.runtime.fetch import FetchResponse
from flux.runtime.functions import Function
from flux.runtime.handoffs import Handoffs

if TYPE_CHECKING:
    from flux.runtime.ctx import Ctx

NAME = f"{OWN_PREFIX}webhook"

#: Seconds a receiver has to answer.
TIMEOUT = 20.0

CONTENT_TYPE = "application/cloudevents+json"

#: The scheme asks for keys of 24 to 64 bytes.
_KEY_BYTES = range(24, 65)

_GONE = 410
_BUSY = (429, 503)


def webhook_function(project: Project) -> Function:
    """The function for the webhooks of a project."""
    known = {webhook.name: webhook for webhook in project.webhooks}

    def deliver(ctx: Any, webhook: str, event: dict[str, Any]) -> dict[str, Any]:
        if webhook not in known:
            raise NotFound(f"flux.toml has no [webhooks.{webhook}]", hint="Put it back, or cancel the delivery.")
        return {"status": _post(ctx, known[webhook], event).status}

    return Function(
        name=NAME,
        method=None,
        route=None,
        handler=deliver,
        timeout=TIMEOUT,
        attempts=1,
        isolation=None,
        file=__file__,
        line=deliver.__code__.co_firstlineno,
        arguments=Arguments(deliver, NAME, "flux"),
        handoffs=Handoffs(),
    )


def signature(secret: str, message_id: str, moment: datetime, body: str) -> str:
    """The value of webhook-signature; raises ValueError where the secret is none of the scheme's."""
    from standardwebhooks import Webhook as Signer

    encoded = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("it is not base64") from error
    if len(key) not in _KEY_BYTES:
        raise ValueError(f"it has {len(key)} bytes, and needs {_KEY_BYTES.start} to {_KEY_BYTES.stop - 1}")
    return Signer(key).sign(message_id, moment, body)


def _post(ctx: Ctx, webhook: Webhook, event: dict[str, Any]) -> FetchResponse:
    body = to_json(event).decode()
    message_id, moment = str(event["id"]), datetime.now(UTC)
    headers = {
        "content-type": CONTENT_TYPE,
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
    }
    if webhook.secret is not None:
        try:
            headers["webhook-signature"] = signature(ctx.secrets[webhook.secret], message_id, moment, body)
        except ValueError as error:
            raise BadSigningSecret(
                f"{webhook.secret} cannot sign for webhook {webhook.name}: {error}",
                hint='Set it to "whsec_" and 32 random bytes in base64, the same as the receiver has.',
            ) from error
    answer = ctx.fetch(webhook.url, method="POST", data=body, headers=headers, timeout=TIMEOUT)
    if answer.status == _GONE:
        raise Discard(f"webhook {webhook.name} answered 410 Gone: it wants no more of this")
    after = answer.headers.get("retry-after", "")
    if answer.status in _BUSY and after.isascii() and after.isdecimal() and len(after) < 6:
        raise Retry(after=max(1, int(after)), reason=f"webhook {webhook.name} answered {answer.status}")
    return answer.raise_for_status()
