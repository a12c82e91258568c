"""The functions of the conformance suite: `act` takes steps, `add` is a sum; one module is both."""

import random
import time

from flux import Error, HTTPError, Response, UniqueViolation, function

TYPES = """
    select
        9007199254740993::bigint as big, 1.50::numeric as exact, '2026-03-10T14:22:01.5Z'::timestamptz as at,
        '\\x00ff'::bytea as bytes, array[1, 2] as list, '{"a": [1, null]}'::jsonb as document,
        null::text as nothing, true as yes
"""


@function
def act(ctx, steps=None, a=0, b=0):
    """Take steps one after another; the result of each."""
    if steps is None:
        return {"sum": a + b}
    results = []
    for step in steps:
        named = dict(step)
        name = named.pop("do")
        if name == "respond":
            return Response(named["body"], named["status"], named["headers"])
        if name not in STEPS:
            raise ValueError(f"there is no step {name}")
        results.append(STEPS[name](ctx, **named))
    return {"results": results}


def insert(ctx, email):
    return ctx.db.one("insert into users (email) values ($1) returning id, email", email)


def read(ctx, email):
    return ctx.db.all("select id, email from users where email = $1 order by id", email)


def count(ctx):
    return ctx.db.value("select count(*) from users")


def rename(ctx, id, email):
    return ctx.db.execute("update users set email = $1 where id = $2", email, id)


def insert_caught(ctx, email):
    try:
        return insert(ctx, email)
    except UniqueViolation as error:
        return {"caught": error.type, "code": error.code, "constraint": error.constraint}


def query(ctx, query):
    return ctx.db.query(query)


def types(ctx):
    return ctx.db.one(TYPES)


def fail(ctx, message):
    raise ValueError(message)


def http_error(ctx, status, message):
    raise HTTPError(status, message)


def fetch(ctx, url):
    answer = ctx.fetch(url)
    return {"status": answer.status, "body": answer.body}


def tool(ctx, name, url):
    return ctx.tool(name, lambda url: ctx.fetch(url).body, url=url)


def now(ctx):
    return ctx.now()


def uuid(ctx):
    return ctx.uuid()


def chance(ctx):
    return ctx.random()


def own_clock(ctx):
    return time.time() * 1_000


def own_random(ctx):
    return random.random()


def sleep(ctx, seconds):
    time.sleep(seconds)


def invoke(ctx, function, input):
    return ctx.invoke(function, **input)


def invoke_caught(ctx, function, input):
    try:
        return ctx.invoke(function, **input)
    except Error as error:
        return {"caught": error.type, "message": str(error)}


def push(ctx, function, input):
    return ctx.queue.push(function, input)


def publish(ctx, type, data):
    return ctx.events.publish(type, data)


def log(ctx, level, message, fields):
    getattr(ctx.log, level)(message, **fields)


def say(ctx, text):
    print(text)


def secret(ctx, name):
    return ctx.secrets.get(name)


def echo(ctx, value):
    return value


def repeat(ctx, text, times):
    return text * times


def many(ctx, count):
    return sum(ctx.db.value("select 1") for _ in range(count))


def spin(ctx):
    while True:
        pass


def grow(ctx):
    kept = []
    while True:
        kept.append(bytearray(1 << 20))


def recurse(ctx):
    return recurse(ctx) + 1


STEPS = {
    "insert": insert, "read": read, "count": count, "rename": rename, "insert_caught": insert_caught, "query": query,
    "types": types, "fail": fail, "http_error": http_error, "fetch": fetch, "tool": tool, "now": now, "uuid": uuid,
    "random": chance, "own_clock": own_clock, "own_random": own_random, "sleep": sleep, "invoke": invoke,
    "invoke_caught": invoke_caught, "push": push, "publish": publish, "log": log, "print": say, "secret": secret,
    "echo": echo, "repeat": repeat, "many": many, "spin": spin, "grow": grow, "recurse": recurse,
}  # fmt: skip
