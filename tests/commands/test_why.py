"""flux why: the whole answer on one screen."""

from __future__ import annotations

import json

import psycopg
import pytest
import story
from repository import Repository

from flux.commands.why import why
from flux.deploy.commits import Commits
from flux.errors import Ambiguous, NotFound

DUPLICATE = """\
  ✗ req:d0b1e000  POST /signup → create_user                      500 error  44ms
    2026-03-10 15:00:00.000 UTC · code 3f2a91c0ffee

  ROOT CAUSE
    UniqueViolation: duplicate key value violates unique constraint
    "users_email_key"
    Key (email)=(a@b.com) already exists.
    step 3, db insert users · SQLSTATE 23505

  LOCATION
    functions/create_user.py:6  in create_user
    6 │ user = ctx.db.one("insert into users (id, email) values (%s, %s)", 43, …

  DATA CHANGES
    none: it wrote no tracked table

  SPAN TREE
    POST /signup                                      44ms  ✗
    └─ function  create_user                          43ms  ✗
       └─ db  insert users                           1.0ms  ✗ root cause
             UniqueViolation: duplicate key value violates unique constraint
             "users_email_key"

  SINCE WHEN
    this error was recorded once: here
    last good run before: req:1a2b3c4d 2026-03-10 12:00:00, in the same code

  SUGGESTION
    req:1a2b3c4d wrote the row that is in the way: users id=42, at 2026-03-10
    12:00:00
    → flux state history users --id 42
    likely: if it may be there already, say so: insert … on conflict (email) do
    nothing, or answer 409
"""


@pytest.fixture(scope="module")
def past(new_database, tmp_path_factory):
    """The story, for tests that only read it."""
    return story.told(new_database(), tmp_path_factory.mktemp("shop"))


@pytest.fixture
def changed(database_url, tmp_path):
    """The story, for a test that changes it."""
    return story.told(database_url, tmp_path)


def test_the_answer_is_whole(past):
    """Cause, place, data, steps, since when, and what to do next: nothing else needs to be opened."""
    result = story.run(why, past, "d0b1")

    assert result.output == DUPLICATE
    assert result.exit_code == 0


def test_what_was_rolled_back_is_shown(past):
    """The write that did not happen is part of what happened."""
    assert "rolled back  UPDATE  users id=42  plan: pro → null" in story.run(why, past, "550e").output


def test_a_request_that_went_well_is_said_to(past):
    """No cause is invented for a request that did not fail."""
    result = story.run(why, past, "4f9a")

    assert "It did not fail." in result.output
    assert "ROOT CAUSE" not in result.output
    assert "committed    UPDATE  users id=42  plan: free → pro" in result.output
    assert result.exit_code == 0


def test_a_request_with_holes_is_never_all_well(changed, database_url):
    """A good status with lost steps is not known to be good."""
    with psycopg.connect(database_url) as connection:
        connection.execute("delete from flux.execution_spans where request_id = %s", (story.UPGRADED,))

    result = story.run(why, changed, "4f9a")

    assert "It did not fail, as far as it was recorded." in result.output
    assert "NOT RECORDED\n    none of its steps were recorded" in result.output
    assert result.exit_code == 1


def test_escape_sequences_in_the_record_stay_in_it(changed, database_url):
    """An attacker's e-mail address must not clear the screen of whoever looks into it."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update flux.trace_requests set error_message = %s, path = %s, error_stack = null where request_id = %s",
            ("\x1b[2Jgone\x07\x9bm", "/\x1b]0;x\x07", story.DUPLICATE),
        )
        connection.execute("update users set name = %s where id = 42", ("\x1b[2J\x9bm",))

    for arguments in (("d0b1",), ("d0b1", "--json")):
        output = story.run(why, changed, *arguments).output

        assert "\x1b" not in output
        assert "\x9b" not in output


def test_json_has_every_section(past):
    """What people read as sections, programs read as keys."""
    answer = json.loads(story.run(why, past, "d0b1", "--json").output)

    assert set(answer) == {
        "request", "root_cause", "steps", "repeated", "gaps", "data_changes", "since_when", "suspects",
        "suggestions",
    }  # fmt: skip
    assert answer["suggestions"][0]["about"] == str(story.SIGNED_UP)


def test_an_unknown_request_is_not_found(past):
    """Exit code 1, with the way to find the right one."""
    error = story.run(why, past, "ffff").exception

    assert isinstance(error, NotFound)
    assert "flux trace" in error.hint


def test_an_ambiguous_id_lists_its_matches(changed, database_url):
    """Four digits may not be enough; then the candidates are the answer."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into flux.trace_requests (request_id, kind, outcome, started_at) "
            "values ('550effff-0000-4000-8000-000000000000', 'invoke', 'ok', now())"
        )

    error = story.run(why, changed, "550e").exception

    assert isinstance(error, Ambiguous)
    assert "req:550e8400" in error.message
    assert "req:550effff" in error.message


LINES = ["import flux", "", "", "def create_user(ctx, email):", "    pass", "    insert(ctx, email)", ""]


@pytest.fixture
def committed(changed, database_url):
    """The story in a repository: signed up in the first of five commits, failed on line 6 in the last."""
    repository = Repository(changed.root)
    file = "functions/create_user.py"
    story.settle(changed)
    shas = [
        repository.commit({file: "\n".join(LINES), ".gitignore": ".flux/\n"}, "feat: sign up"),
        repository.commit({"README.md": "shop"}, "docs: say what it is"),
        repository.commit(
            {file: "\n".join([*LINES[:5], "    user = insert(43, email)", ""])}, "feat: ids\x1b[2J of ours"
        ),
        repository.commit(
            {file: "\n".join(["import flux.x", *LINES[1:5], "    user = insert(43, email)", ""])}, "chore"
        ),
        repository.commit({"README.md": "a shop"}, "docs: a better word"),
    ]
    ran_in(database_url, story.SIGNED_UP, shas[0])
    ran_in(database_url, story.DUPLICATE, shas[4])
    return repository, shas


def shown(repository, sha):
    """A commit as it is named: a digit longer where seven would be a version number."""
    return Commits(repository.root).find(sha).name


def ran_in(database_url, request, code_sha):
    """Another code for a request of the story."""
    with psycopg.connect(database_url) as connection:
        connection.execute("update flux.trace_requests set code_sha = %s where request_id = %s", (code_sha, request))


def test_two_trees_of_one_commit_are_told_apart(changed, database_url):
    """Before a commit, the same commit with other changes on it is what one looks at most."""
    commit = "a7f91c04d5e6b7a8c9d0e1f2a3b4c5d6e7f8a9b0"
    ran_in(database_url, story.SIGNED_UP, f"{commit}+111111111111")
    ran_in(database_url, story.DUPLICATE, f"{commit}+222222222222")

    output = " ".join(story.run(why, changed, "d0b1").output.split())

    assert "in code a7f91c04d5e6+111111111111, not a7f91c04d5e6+222222222222" in output
    assert "· code a7f91c04d5e6+222222222222" in output


def suspects_of(project, *arguments):
    """The section, without its heading."""
    output = story.run(why, project, "d0b1", *arguments).output
    return output.partition("  SUSPECTS\n")[2].partition("\n\n")[0]


def test_the_commit_that_wrote_the_failing_line_is_the_first_suspect(changed, committed):
    """Between a good and a bad run lie few commits, and fewer that touched what failed."""
    repository, shas = committed
    names = [shown(repository, sha) for sha in shas]
    indents = [" " * (len(name) + 6) for name in names]

    *commits, rest = suspects_of(changed).split("\n", 4)
    assert commits == [
        f"""    {names[2]}  "feat: ids\\x1b[2J of ours\"""",
        f"{indents[2]}2026-03-01 by alice@example.com, wrote functions/create_user.py:6",
        f"""    {names[3]}  "chore\"""",
        f"{indents[3]}2026-03-01 by alice@example.com, touched functions/create_user.py",
    ]
    assert (
        rest.split()
        == (  # it is broken into lines by how long the names are
            f"2 more commits between the last good run in {names[0]} and the first bad one in {names[4]}"
            " → flux bug bisect --request d0b1e000"
        ).split()
    )


def test_suspects_have_their_members_in_json(changed, committed):
    """For a program that opens an issue with the likely author."""
    _, shas = committed

    found = json.loads(story.run(why, changed, "d0b1", "--json").output)["suspects"]

    assert [commit["commit"] for commit in found["commits"]] == [shas[2], shas[3], shas[4], shas[1]]
    assert found["commits"][0]["line"] == "functions/create_user.py:6"
    assert found["commits"][0]["author"] == "alice@example.com"
    assert found["total"] == 4


def test_commits_that_touched_nothing_of_the_stack_are_said_to(changed, committed, database_url):
    """They are still between good and bad, but nothing points at them."""
    _, shas = committed
    ran_in(database_url, story.SIGNED_UP, shas[3])

    found = suspects_of(changed)

    assert '"docs: a better word"' in found
    assert "none of which touched" in " ".join(found.split())


def test_suspects_end_where_the_error_first_came(changed, committed, database_url):
    """What was committed after the first failure did not cause it."""
    repository, shas = committed
    first = "0f0f0f0f-0000-4000-8000-000000000009"
    with psycopg.connect(database_url) as connection:
        story.request(connection, first, "2026-03-10T14:59:00Z", **story.failed_columns(story.UNIQUE, code_sha=shas[2]))

    found = suspects_of(changed)

    assert f"the first bad one in {shown(repository, shas[2])}" in " ".join(found.split())
    assert shas[3][:7] not in found


def test_the_same_code_has_no_suspects(changed, committed, database_url):
    """Then it was the data, or the world; SINCE WHEN says so."""
    _, shas = committed
    ran_in(database_url, story.SIGNED_UP, shas[4])

    assert suspects_of(changed) == ""


def test_suspects_that_cannot_be_known_are_said_to_be_so(changed, committed, database_url):
    """Code of another repository, or no repository at all."""
    ran_in(database_url, story.SIGNED_UP, "0123456789ab")

    assert suspects_of(changed) == "    not known: code 0123456789ab is no commit of this repository"


def test_outside_git_suspects_are_not_known(changed, database_url):
    """The rest of the answer does not depend on it."""
    ran_in(database_url, story.SIGNED_UP, "0123456789ab")

    found = suspects_of(changed)

    assert found.startswith("    not known:")
    assert "not in a git repository" in " ".join(found.split())
