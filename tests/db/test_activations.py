"""Versions and switches between them: one order, one active version, and a way back that never leads forward."""

from __future__ import annotations

import threading

import psycopg
import pytest

COMMIT = "c0" * 20


def store(connection, content, code=COMMIT):
    return connection.execute(
        "select version, is_new from flux.store_deployment(%s, %s, %s, 'shop', 1, '{f}', 'alice@laptop')",
        (code, f"{content:064x}", b"bundle"),
    ).fetchone()


def deploy(connection, content, code=COMMIT):
    version, _ = store(connection, content, code)
    connection.execute("select flux.activate_deployment(%s, 'deploy', 'alice@laptop', null)", (version,))
    return active(connection)


def roll_back(connection, version=None):
    if version is None:
        version = connection.execute("select flux.rollback_target()").fetchone()[0]
    connection.execute("select flux.activate_deployment(%s, 'rollback', 'alice@laptop', null)", (version,))
    return active(connection)


def active(connection):
    row = connection.execute("select version from flux.active_deployment()").fetchone()
    return row[0] if row else None


def test_versions_are_numbered_from_one(connection):
    """People say them aloud."""
    assert [store(connection, content) for content in (7, 8, 9)] == [(1, True), (2, True), (3, True)]


def test_the_same_content_is_the_same_version(connection):
    """Deploying again what is there must not make it look like something new."""
    store(connection, 1)
    store(connection, 2)

    assert store(connection, 1) == (1, False)
    assert store(connection, 1, "d1" * 20) == (1, False)


def test_a_commit_is_a_better_name_than_a_dirty_tree(connection):
    """What was deployed in a hurry and committed later can be found in git from then on; never the other way round."""
    dirty = f"{COMMIT}+0123456789ab"
    store(connection, 1, dirty)

    assert store(connection, 1, f"{COMMIT}+ba9876543210") == (1, False)
    assert store(connection, 1, "d1" * 20) == (2, True)
    assert store(connection, 1, "e1" * 20) == (2, False)
    assert store(connection, 1, dirty) == (1, False)


def test_nothing_is_active_before_the_first(connection):
    """A server must be told so, and not get a row of nulls."""
    assert active(connection) is None
    with pytest.raises(psycopg.Error, match="nothing was deployed") as error:
        roll_back(connection)
    assert error.value.sqlstate == "XF703"


def test_rolling_back_twice_goes_back_twice(connection):
    """Not forward again to what was left because it was bad."""
    for content in (1, 2, 3):
        deploy(connection, content)

    assert [roll_back(connection), roll_back(connection)] == [2, 1]
    with pytest.raises(psycopg.Error, match="no version ran before v1"):
        roll_back(connection)


def test_after_a_rollback_the_next_deployment_goes_back_to_what_ran(connection):
    """v3 was bad; v4, its successor, must not lead back to it."""
    for content in (1, 2, 3):
        deploy(connection, content)
    roll_back(connection)

    assert deploy(connection, 4) == 4
    assert [roll_back(connection), roll_back(connection)] == [2, 1]


def test_a_named_version_may_be_far_back_or_forward(connection):
    """From one far back the way goes on from there; from one ahead it leads to where one was."""
    for content in (1, 2, 3, 4):
        deploy(connection, content)

    assert [roll_back(connection, 2), roll_back(connection)] == [2, 1]
    assert [roll_back(connection, 4), roll_back(connection)] == [4, 1]


def test_content_deployed_again_is_a_step_forward(connection):
    """`git revert` and deploy: the way back leads to what ran in between."""
    for content in (1, 2, 1):
        deploy(connection, content)

    assert active(connection) == 1
    assert roll_back(connection) == 2
    assert roll_back(connection) == 1


def test_what_is_active_already_is_not_activated_again(connection):
    """The history holds switches, not wishes; and nobody is woken for nothing."""
    deploy(connection, 1)
    deploy(connection, 1)
    roll_back(connection, 1)

    history = connection.execute("select kind, version, version_before from flux.deployment_history").fetchall()
    assert history == [("deploy", 1, None)]


@pytest.mark.parametrize("given", ["2", "v2", "V2", "d1d1d1d", "D1D1D1D1", "d1" * 20])
def test_a_version_is_named_in_all_the_ways_people_do(connection, given):
    """What `flux deployments` prints, and what `git log` does."""
    store(connection, 1)
    store(connection, 2, "d1" * 20)

    assert connection.execute("select flux.deployment_named(%s)", (given,)).fetchone() == (2,)


@pytest.mark.parametrize(
    ("given", "state"), [("9", "XF801"), ("v", "XF801"), ("abc", "XF801"), ("", "XF801"), ("d1d1d1d", "XF802")]
)
def test_what_names_none_or_several_is_refused(connection, given, state):
    """Running the wrong code is worse than none."""
    store(connection, 1, "d1" * 20)
    store(connection, 2, "d1d1d1d1" + "e1" * 16)

    with pytest.raises(psycopg.Error) as error:
        connection.execute("select flux.deployment_named(%s)", (given,))
    assert error.value.sqlstate == state


def test_a_whole_name_is_that_of_its_newest_version(connection):
    """One commit may have been deployed with other settings of git's filters; the newest is meant."""
    store(connection, 1)
    store(connection, 2)

    assert connection.execute("select flux.deployment_named(%s)", (COMMIT,)).fetchone() == (2,)


def test_deployments_at_once_come_one_after_the_other(database_url):
    """Two people, or two CI jobs: no number twice, none left out, and the last one is active."""
    done = []

    def run(content):
        with psycopg.connect(database_url) as connection:
            done.append(deploy(connection, content))

    threads = [threading.Thread(target=run, args=(content,)) for content in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with psycopg.connect(database_url) as connection:
        history = connection.execute("select version from flux.deployment_history order by id").fetchall()
        assert active(connection) == history[-1][0]
    assert sorted(done) == list(range(1, 9))


def test_a_switch_is_heard_of_when_it_commits(database_url):
    """Not before: who follows would find the old one."""
    with psycopg.connect(database_url, autocommit=True) as listener, psycopg.connect(database_url) as other:
        listener.execute("listen flux_deployments")
        deploy(other, 1)
        early = list(listener.notifies(timeout=0.2))
        other.commit()

        (heard,) = listener.notifies(timeout=5, stop_after=1)

    assert early == []
    assert heard.payload == "1"


@pytest.mark.parametrize(
    "statement",
    [
        "select from flux.stored_deployments",
        "insert into flux.activations (version, kind, activated_by) values (1, 'deploy', 'me')",
        "select flux.activate_deployment(1, 'deploy', 'me', null)",
        "select flux.store_deployment('a', 'b', 'c', 'd', 1, '{}', 'e')",
    ],
)
@pytest.mark.parametrize("role", ["flux_app", "flux_reader"])
def test_neither_functions_nor_readers_can_change_the_code(connection, statement, role):
    """A function that can write its own successor has no limits."""
    deploy(connection, 1)
    connection.execute(f"set local role {role}")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_readers_see_the_deployments(connection):
    """Who runs what is no secret among those who may read the record."""
    deploy(connection, 1)
    connection.execute("set local role flux_reader")

    rows = connection.execute("select version, is_active, workers from flux.deployments").fetchall()
    assert rows == [(1, True, 0)]
    assert connection.execute("select count(*) from flux.deployment_history").fetchone() == (1,)
