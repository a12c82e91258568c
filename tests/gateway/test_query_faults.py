"""A structured query that cannot be compiled is its caller's fault where it came with the request, ours where not."""

from __future__ import annotations

import pytest
from served import Served

FUNCTIONS = """
from flux import function

@function(route="POST /query")
def whole(ctx, query: dict) -> list:
    return ctx.db.query(query)

@function(route="POST /members")
def members(ctx, **query) -> list:
    return ctx.db.query(query)

@function(route="POST /text")
def text(ctx, body: bytes) -> list:
    return ctx.db.query(body)

@function(route="POST /part")
def part(ctx, filters: list) -> list:
    return ctx.db.query({"table": "todos", "filters": [*filters, {"column": "done", "value": False}]})

@function(route="POST /typed")
def typed(ctx, by: list[dict[str, str | int]]) -> list:
    return ctx.db.query({"table": "todos", "filters": by})

@function(route="GET /todos/{id}")
def one(ctx, id: str, order: str = "id", limit: int = 5) -> list:
    return ctx.db.table("todos").where(id=id).order(order).limit(limit).all()

@function(route="POST /ours")
def ours(ctx, query: dict, hard: bool = False) -> list:
    query["filters"].append({"column": "titel", "value": "x"})
    return ctx.db.query(query)

@function(route="POST /hard")
def hard(ctx, query: dict, empty: list = [], yes: bool = True) -> list:
    return ctx.db.query({"table": "todo", "filters": [], "limit": 5})

@function(route="POST /invoked")
def invoked(ctx, query: dict) -> list:
    return ctx.invoke("whole", query=query)

@function(route="POST /caught")
def caught(ctx, query: dict) -> str:
    from flux.errors import BadQuery
    try:
        ctx.db.query(query)
    except BadQuery as error:
        return error.path

@function(route="POST /named", db_role="anon")
def named(ctx, query: dict) -> list:
    return ctx.db.query(query)
"""
TABLES = "create table todos (id int primary key, title text, done bool); insert into todos values (1, 'milk', false);"
POLICIES = '[roles.anon]\n[tables.todos.anon]\nselect = { columns = ["id"] }\n'
DEEP: dict = {"column": "title", "op": "eqq", "value": "x"}
for _ in range(200):
    DEEP = {"not": DEEP}
UNKNOWN = "filters[0].column: todos has no column and no relation titel"


@pytest.fixture(scope="module")
def served(tmp_path_factory, new_database):
    """A server of functions that pass on what they are sent."""
    root = tmp_path_factory.mktemp("queries")
    for folder in ("functions", "db/migrations"):
        (root / folder).mkdir(parents=True)
    (root / "flux.toml").write_text('[project]\nname = "queries"\n[recording]\nredact = ["pin"]\n')
    (root / "functions" / "queries.py").write_text(FUNCTIONS)
    (root / "db" / "migrations" / "0001.sql").write_text(TABLES)
    (root / "db" / "policies.toml").write_text(POLICIES)
    server = Served(root, new_database(), "--workers", "1")
    yield server
    said = server.stop()
    assert "Traceback" not in said, said


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/query", {"query": {"table": "todos", "filters": [{"column": "titel", "value": 1}]}}, UNKNOWN),
        ("/invoked", {"query": {"table": "todos", "filters": [{"column": "titel", "value": 1}]}}, UNKNOWN),
        (
            "/query",
            {"query": {"table": "todos", "colums": []}},
            "colums: this is no key of a query; did you mean columns?",
        ),
        (
            "/query",
            {"query": {"table": "todos", "limit": 5000}},
            "limit: max_limit: 5000 rows are asked for, the project",
        ),
        ("/query", {"query": {"table": "todos", "filters": [{"column": "id", "value": "x"}]}}, "filters[0].value: "),
        ("/query", {"query": {"table": "todos", "columns": ["id", {"column": "pin"}]}}, "columns[1]: todos has no"),
        (
            "/query",
            {"query": {"table": "todos", "filters": [DEEP]}},
            f"filters[0]{'.not' * 200}.op: there is no operator",
        ),
        ("/members", {"table": "todos", "colums": []}, "colums: this is no key of a query"),
        ("/part", {"filters": [{"column": "titel", "value": 1}]}, UNKNOWN),
        ("/typed", {"by": [{"column": "titel", "value": 1}]}, UNKNOWN),
    ],
)
def test_a_query_of_the_caller_is_answered_with_422_and_the_place(served, path, body, detail):
    """Of the whole document, and of a part of it that a function puts into its own."""
    response = served.http.post(path, json=body)

    assert response.status_code == 422
    told = response.json()
    assert told["detail"].startswith(detail)
    place = told["detail"].partition(": ")[0]
    assert [one["field"] for one in told["errors"]] == [place]
    assert served.record(response)["outcome"] == "refused"


def test_text_and_single_values_of_the_caller_are_theirs_too(served):
    """Names to order by, keys and limits are what most callers send."""
    text = served.http.post("/text", content=b'{"table": "todos",}')
    answers = [served.http.get(f"/todos/{rest}") for rest in ("x", "1?order=titel", "1?limit=5000")]

    assert (text.status_code, text.json()["detail"][:15]) == (422, "line 1, column ")
    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert answers[1].json()["detail"] == "order[0]: todos has no column and no relation titel"
    assert served.http.get("/todos/1").status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/ours", {"query": {"table": "todos", "filters": [{"column": "id", "value": 1}]}}),
        ("/hard", {"query": {"table": "todos"}, "empty": [], "yes": True}),
    ],
)
def test_a_query_of_the_function_stays_its_own_fault(served, path, body):
    """Also where it was added to what the caller sent."""
    response = served.http.post(path, json=body)

    assert (response.status_code, response.json()["detail"]) == (500, "the function failed")
    record = served.record(response)
    assert (record["outcome"], record["error_code"]) == ("error", "XF402")


def test_hints_and_hidden_columns_are_for_the_record_alone(served):
    """Names that a caller did not know are not told."""
    mistyped = served.http.post("/query", json={"query": {"table": "tods"}})
    hidden = served.http.post("/named", json={"query": {"table": "todos", "columns": ["title"]}})

    assert mistyped.json()["detail"] == "table: there is no table tods"
    spans = "select error ->> 'hint' as hint from flux.execution_spans where request_id = %s and kind = 'function'"
    assert served.ask(spans, served.record(mistyped)["request_id"]) == [{"hint": "Did you mean todos?"}]
    assert (hidden.status_code, hidden.json()["detail"]) == (403, "the caller may not do this")
    assert served.record(hidden)["error_message"] == "columns[0]: the role anon may not read title of todos"


def test_a_function_may_catch_it(served):
    """And answer as it likes."""
    response = served.http.post("/caught", json={"query": {"table": "todos", "order": ["titel"]}})

    assert response.text == "order[0]"
