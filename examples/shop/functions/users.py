"""People who signed up."""

from flux import HTTPError, function


@function(route="POST /users")
def create_user(ctx, email: str, plan: str = "free") -> dict:
    return ctx.db.one("insert into users (email, plan) values (%s, %s) returning id, email, plan", email, plan)


@function(route="GET /users")
def list_users(ctx) -> list:
    return ctx.db.all("select id, email, name, plan from users order by id")


@function(route="PATCH /users/{id}")
def rename_user(ctx, id: int, name: str) -> dict:
    user = ctx.db.one("update users set name = %s where id = %s returning id, name", name, id)
    if user is None:
        raise HTTPError(404, f"no user {id}")
    return user
