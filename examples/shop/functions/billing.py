"""Plans, and the payment provider that charges for them."""

import os

from flux import function

PROVIDER = os.environ.get("PAYMENTS_URL", "http://127.0.0.1:4999")


class PaymentFailed(Exception):
    """The provider did not take the money."""


def charge(ctx, user_id: int, amount: int, card: dict) -> str:
    answer = ctx.fetch(f"{PROVIDER}/v1/charges", method="POST", json={"user": user_id, "amount": amount, "card": card})
    if not answer.ok:
        raise PaymentFailed(f"provider answered {answer.status}: {answer.json()['error']}")
    return answer.json()["id"]


@function(route="POST /users/{id}/upgrade")
def upgrade(ctx, id: int, card: dict) -> dict:
    charge_id = charge(ctx, id, 2900, card)
    return ctx.db.one("update users set plan = 'pro' where id = %s returning id, plan", id) | {"charge": charge_id}


@function(route="POST /users/{id}/renew")
def renew(ctx, id: int, card: dict) -> dict:
    ctx.db.execute("update users set plan = null where id = %s", id)  # no plan while the payment is pending
    charge_id = charge(ctx, id, 2900, card)
    ctx.db.execute("update users set plan = 'pro' where id = %s", id)
    return {"id": id, "charge": charge_id}
