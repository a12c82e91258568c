"""What a walk through a request asks: outline, values of a step, rows at a step, and who wrote a row before."""

from __future__ import annotations

import story


def test_the_outline_is_the_tree_without_its_values(past, questions):
    """Thousands of steps are listed without what went in and out of them."""
    outline = questions.ask("span_outline", request=story.FAILED)
    tree = questions.ask("span_tree", request=story.FAILED)

    shared = [name for name in outline[0] if name in tree[0] and name != "error"]
    assert "input" not in outline[0]
    assert [{name: row[name] for name in shared} for row in outline] == [
        {name: row[name] for name in shared} for row in tree
    ]
    assert [row["error"] for row in outline] == [(row["error"] or {}).get("message") for row in tree]


def test_a_step_comes_with_its_logs_and_its_writes(past, questions):
    """One step, or all of them in two questions."""
    every = questions.details(story.FAILED)
    one = questions.details(story.FAILED, 3)

    assert list(every) == [1, 2, 3, 4]
    assert one[3] == every[3]
    write = one[3]["writes"][0]
    assert (write["operation"], write["rolled_back"], write["writes"]) == ("UPDATE", True, 1)
    assert write["changes"] == [{"name": "plan", "in_key": False, "old": "pro", "new": None}]


def test_writes_of_a_lost_step_stand_with_the_first(past, questions):
    """They happened; a walk must meet them."""
    past.execute("delete from flux.execution_spans where request_id = %s and span_id = 3", (story.FAILED,))

    assert [len(detail["writes"]) for detail in questions.details(story.FAILED).values()] == [1, 0, 0]

    past.execute("delete from flux.execution_spans where request_id = %s", (story.FAILED,))
    assert [(key, len(found["writes"])) for key, found in questions.details(story.FAILED).items()] == [(None, 1)]


def test_of_many_writes_some_are_listed_and_all_are_counted(blank, questions):
    """A statement that wrote a hundred thousand rows must not be asked for all of them."""
    story.write(
        blank, "insert into users (id, email) select n, n::text from generate_series(1, 30) as n", by=story.FAILED
    )
    story.request(blank, story.FAILED, "2026-03-10T12:00:00Z", story.healthy("insert users"))

    listed = questions.ask("span_mutations", request=story.FAILED, step=3, most=5)

    assert (len(listed), {row["writes"] for row in listed}) == (5, {30})
    assert len(questions.ask("span_mutations", request=story.FAILED, most=None)) == 30


def test_a_row_at_a_step_has_the_writes_up_to_there(past, questions):
    """As the request itself would have read it."""
    past.execute("update flux.trace_requests set started_at = now() where request_id = %s", (story.FAILED,))
    before = questions.ask("rows_at_step", request=story.FAILED, step=2)
    after = questions.ask("rows_at_step", request=story.FAILED, step=3)

    assert [(row["at_step"]["plan"], row["written"]) for row in before] == [("pro", False)]
    assert [(row["seen"]["plan"], row["at_step"]["plan"], row["written"], row["rolled_back"]) for row in after] == [
        ("pro", None, True, True)
    ]


def test_a_key_that_changed_is_followed(blank, questions):
    """The row is the same under its new name; a row that came and went is told as gone."""
    story.write(blank, "insert into users (id, email) values (1, 'a')", at="2026-03-10T11:00:00Z")
    at = "2026-03-10T12:00:00Z"
    story.write(blank, "update users set id = 2 where id = 1", by=story.FAILED, span=2, at=at)
    story.write(blank, "update users set name = 'b' where id = 2", by=story.FAILED, span=3, at=at)
    story.write(blank, "delete from users where id = 2", by=story.FAILED, span=4, at=at)
    snapshot = story.one(blank, "select pg_snapshot_xmin(pg_current_snapshot())::text")
    story.request(
        blank, story.FAILED, at, story.healthy("update users"), snapshot=f"{int(snapshot) + 1}:{int(snapshot) + 1}:"
    )

    rows = {step: questions.ask("rows_at_step", request=story.FAILED, step=step) for step in (2, 3, 4)}

    assert [(row["row_key"], row["at_step"].get("name")) for row in rows[2]] == [({"id": 2}, None)]
    assert [(row["row_key"], row["at_step"]["name"]) for row in rows[3]] == [({"id": 2}, "b")]
    assert [(row["row_key"], row["at_step"]) for row in rows[4]] == [({"id": 2}, None)]


def test_of_many_rows_those_of_the_step_are_listed(blank, questions):
    """The state at a step without what the step wrote would be that of another one; how many there are is told."""
    at = "2026-03-10T12:00:00Z"
    for n in range(8):
        story.write(blank, "insert into users (id, email) values (%s, %s)", [n, str(n)], by=story.FAILED, span=n, at=at)
    story.request(blank, story.FAILED, at, story.healthy("insert users"))

    few = questions.ask("rows_at_step", request=story.FAILED, step=7, most=3)
    every = questions.ask("rows_at_step", request=story.FAILED, step=7)

    assert [(row["row_key"]["id"], row["written"], row["rows"]) for row in few] == [
        (7, True, 8), (0, False, 8), (1, False, 8), (2, False, 8),
    ]  # fmt: skip
    assert len(every) == every[0]["rows"] == 8


def test_the_last_writer_is_the_one_before(past, questions):
    """Neither the request itself, nor who came after it, nor an attempt that was rolled back."""

    def ask(before):
        return questions.ask("last_writer", target="public.users", row_key={"id": 42}, before=before)

    assert ask(story.FAILED)[0]["request_id"] == story.UPGRADED
    assert ask(story.UPGRADED)[0]["request_id"] == story.RENAMED
    assert ask(story.SIGNED_UP) == []
    assert ask(story.DUPLICATE)[0]["request_id"] == story.UPGRADED


def test_the_row_in_the_way_is_the_one_that_was_there(past, questions):
    """A duplicate leads to who was first."""
    found = questions.ask("row_in_the_way", request=story.DUPLICATE, step=3)

    assert [(row["row_key"], row["request_id"]) for row in found] == [({"id": 42}, story.SIGNED_UP)]
    assert questions.ask("row_in_the_way", request=story.FAILED, step=4) == []


def test_a_text_is_found_in_values_statements_errors_logs_and_writes(past, questions):
    """In any case; a log line stands for its step."""

    def find(text, request=story.FAILED):
        return [row["span_id"] for row in questions.ask("spans_containing", request=request, wanted=text)]

    assert find("UPDATE users") == [3]
    assert find("answered 502") == [1, 2, 4]
    assert find("a@b.com", story.DUPLICATE) == [1, 2, 3]
    assert find("pro") == [3], "what was written"
    assert find("50%") == []


def test_recent_failures_are_those_that_need_somebody(past, questions):
    """Refused requests are wanted by name only."""
    story.request(past, story.SIGNED_UP.__class__(int=7), "2026-03-11T00:00:00Z", outcome="refused", status=404)

    assert [row["request_id"] for row in questions.ask("recent_failures")] == [story.DUPLICATE, story.FAILED]
    assert len(questions.ask("recent_failures", with_refused=True)) == 3
    assert len(questions.ask("recent_failures", most=1)) == 1
