"""flux trace debug on a full screen: each key, and what the screen says where there is nothing to do."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
import story
from checkout import RICH
from driving import walk_through

from flux.errors import DatabaseUnavailable
from flux.screens.lines import Terminal

GOOD = str(RICH)


def test_it_opens_on_the_first_step_with_its_values(reader):
    """What came in is where a walk begins."""
    seen = walk_through(reader, "550e")

    assert seen.head.startswith("  Step 1/4  gateway")
    assert "✗ req:550e8400  500 error  44ms" in seen.head
    assert "Input:   POST /upgrade" in seen.text
    assert "Output:  500 error" in seen.text
    assert seen.foot.startswith("  ↓ next  ↑ prev  e expand  q quit  ? help")


def test_down_and_up_walk_through_the_steps(reader):
    """The two keys that are pressed most."""
    assert walk_through(reader, "550e", "down", "down").head.startswith("  Step 3/4  update users")
    assert walk_through(reader, "550e", "j", "down", "up").head.startswith("  Step 2/4  upgrade")
    assert walk_through(reader, "550e", "up").head.startswith("  Step 1/4")
    assert walk_through(reader, "550e", "end", "down").head.startswith("  Step 4/4  stripe.charge")


def test_the_tree_has_what_was_handed_off(reader):
    """A request goes on in its jobs, and so does the walk."""
    seen = walk_through(reader, GOOD)

    assert [line.split("─")[-1].split("  ")[0].strip() for line in seen.tree] == [
        "gateway", "checkout", "db", "db", "tool", "queue", "job", "send_receipt", "tool",
    ]  # fmt: skip
    job = walk_through(reader, GOOD, *["down"] * 6)
    assert job.head.startswith("  Step 7/9  send_receipt  (job req:ca11ab1e)")
    assert "attempt 2" in job.text


def test_sql_parameters_rows_and_the_writes_of_a_step_are_shown(reader):
    """What a statement did, field by field."""
    text = walk_through(reader, GOOD, "down", "down", "down", size=(120, 40)).text

    assert "SQL:     update users set name = %s where id = %s" in text
    assert 'Input:   ["山田 🚀 太郎", 42]' in text
    assert "Output:  1 row" in text
    assert "UPDATE users id=42" in text
    assert "name: Alice Smith → 山田 🚀 太郎" in text
    assert "plan: pro → max" in text
    assert "DELETE orders id=7" in text
    assert "- total: 99.5" in text


def test_an_error_stands_with_the_source_around_it(reader):
    """The line that failed is read among its neighbours."""
    text = walk_through(reader, "d0b1", "f", size=(110, 40)).text

    assert "Step 3/3" in text
    assert "Error:   UniqueViolation: duplicate key value" in text
    assert "At:      functions/create_user.py:6" in text
    assert "5 │ def create_user(ctx, email):" in text
    assert ">    6 │     user = ctx.db.one(" in text


def test_log_lines_stand_with_the_step_that_wrote_them(reader):
    """They are no steps of their own, and none is lost."""
    assert "Log:     warning  the mail is late  { tries: 2 }" in walk_through(reader, GOOD, "down", size=(120, 40)).text


def test_e_expands_values_and_folds_them_again(reader):
    """Everything is there, but not at once."""
    short = walk_through(reader, GOOD, "down", size=(100, 60)).text
    whole = walk_through(reader, GOOD, "down", "e", size=(100, 60)).text

    assert "sku-29" not in short
    assert "sku-29" in whole
    assert walk_through(reader, GOOD, "down", "e", "e", size=(100, 60)).text == short


def test_slash_searches_and_n_goes_on(reader):
    """In values as in names; what is found is marked."""
    seen = walk_through(reader, GOOD, "slash", *"TAILS", "enter")
    assert seen.foot == "  'TAILS' is in no step"

    seen = walk_through(reader, GOOD, "slash", *"users", "enter")
    assert (seen.head.split("  ")[1], seen.foot) == ("Step 4/9", "  match 1 of 1")
    assert "*w" in seen.tree[3]

    found = walk_through(reader, GOOD, "slash", *"late", "enter")
    assert found.head.startswith("  Step 2/9"), "a log line is found in its step"

    orders = ["slash", *"orders", "enter"]
    assert walk_through(reader, GOOD, *orders, "n").head.startswith("  Step 4/9")
    assert walk_through(reader, GOOD, *orders, "n", "n").head.startswith("  Step 3/9")
    assert walk_through(reader, GOOD, *orders, "N").head.startswith("  Step 4/9")
    assert "nothing was searched for" in walk_through(reader, GOOD, "n").foot
    assert walk_through(reader, GOOD, "slash", "x", "escape", "down").head.startswith("  Step 2/9")


def test_f_goes_to_where_failures_began(reader):
    """Not to each step that they went through."""
    assert walk_through(reader, "550e", "f").head.startswith("  Step 4/4")
    assert walk_through(reader, GOOD, "f").head.startswith("  Step 5/9")
    assert walk_through(reader, "4f9a", "f").foot == "  no step failed"


def test_m_shows_only_the_steps_that_wrote(reader):
    """And the same key shows all again."""
    seen = walk_through(reader, GOOD, "m")
    assert len(seen.tree) == 2
    assert seen.head.startswith("  Step 3/9")
    assert len(walk_through(reader, GOOD, "m", "m").tree) == 9
    assert "no step wrote" in walk_through(reader, "d0b1", "m").foot


def test_s_shows_the_rows_as_they_were_at_the_step(reader):
    """With the request's own writes up to there, and none after."""
    before = walk_through(reader, GOOD, "down", "down", "s", size=(120, 40)).text
    assert "Rows as they were for req:c0ffee00 after step 3" in before
    assert "orders id=7  written by this step" in before
    assert "name   Alice Smith" in before

    after = walk_through(reader, GOOD, "down", "down", "s", "down", size=(120, 40)).text
    assert "name   Alice Smith → 山田 🚀 太郎" in after
    assert "orders id=7  written by this step, not there" in after

    assert "Input:" in walk_through(reader, GOOD, "s", "s").text
    assert "wrote no tracked row" in walk_through(reader, "d0b1", "s").text


def test_w_goes_to_the_request_that_last_wrote_the_row_and_b_comes_back(reader):
    """From the failure to its cause, and back."""
    there = walk_through(reader, GOOD, "m", "down", "w")
    assert "req:4f9a3b2c" in there.head
    assert "users id=42 was last written here, by req:4f9a3b2c; b goes back" in there.foot

    back = walk_through(reader, GOOD, "m", "down", "w", "b")
    assert back.head.startswith("  Step 4/9")


def test_w_follows_the_row_that_is_in_the_way(reader):
    """A duplicate is explained by who was first."""
    seen = walk_through(reader, "d0b1", "f")
    assert "In way:  users id=42, written by req:1a2b3c4d" in seen.text

    assert "req:1a2b3c4d" in walk_through(reader, "d0b1", "f", "w").head


def test_w_says_when_no_write_is_known(reader):
    """Silence would be an answer, and a wrong one."""
    assert "no earlier write of orders id=7 is recorded" in walk_through(reader, GOOD, "m", "w").foot
    assert "no row is here" in walk_through(reader, GOOD, "w").foot
    assert "nothing to go back to" in walk_through(reader, GOOD, "b").foot


def test_tab_takes_the_keys_to_the_values(reader):
    """There the cursor chooses the row that w is about."""
    seen = walk_through(reader, GOOD, "m", "down", "tab", "end", "w")

    assert "no earlier write of orders id=7 is recorded" in seen.foot
    assert walk_through(reader, GOOD, "tab", "down", "tab", "down").head.startswith("  Step 2/9")


def test_d_compares_with_the_last_good_run(reader):
    """What differed is often the cause."""
    seen = walk_through(reader, "550e", "d", size=(100, 30))

    assert "The last good run (A) and this one (B)" in seen.head
    assert "500 instead of 200" in seen.text
    assert walk_through(reader, "550e", "d", "b").head.startswith("  Step 1/4")
    assert "no good run of the same function" in walk_through(reader, GOOD, "d").text


@pytest.mark.parametrize(
    ("given", "keys", "command"),
    [
        ("550e", ("down", "c"), "flux trace debug 550e8400 --at 2"),
        (GOOD, ("down", "down", "down", "s", "tab", "end", "c"), "flux state show users --id id=42 --at req:c0ffee00"),
        ("550e", ("d", "c"), "flux trace diff 550e8400:last-good 550e8400"),
    ],
)
def test_c_copies_the_command_that_prints_the_same(reader, past, given, keys, command):
    """What was found is passed on, and it runs."""
    from flux.cli import main

    seen = walk_through(reader, given, *keys)

    assert seen.copied == command
    assert seen.foot == f"  copied: {command}"
    ran = story.run(main, past, *command.split()[1:])
    assert ran.exit_code in (0, 1)
    assert ran.stdout


def test_left_and_right_fold(reader):
    """A long tree is read in parts."""
    assert len(walk_through(reader, GOOD, "down", "left").tree) == 2
    assert len(walk_through(reader, GOOD, "down", "left", "right").tree) == 9
    assert walk_through(reader, GOOD, "end", "left").head.startswith("  Step 8/9")


def test_question_mark_explains_every_key(reader):
    """Nobody remembers them all; at 80x24 the help fits."""
    seen = walk_through(reader, "550e", "question_mark")

    for word in ("fold", "expand", "search", "failure began", "wrote", "state", "last wrote", "diff", "copy", "quit"):
        assert word in seen.text
    assert max(map(len, seen.lines)) < 80
    assert walk_through(reader, "550e", "question_mark", "question_mark").head.startswith("  Step 1/4")


def test_q_quits(reader):
    """From wherever one is."""
    assert walk_through(reader, "550e", "q").ended
    assert walk_through(reader, "550e", "question_mark", "q").ended


def test_the_mouse_chooses_steps_presses_keys_and_scrolls(reader):
    """Who has a mouse in the hand need not let go of it."""
    assert walk_through(reader, GOOD, lambda pilot: pilot.click("#steps", offset=(3, 2))).head.startswith("  Step 3/9")
    assert walk_through(reader, GOOD, lambda pilot: pilot.click("#keys", offset=(3, 0))).head.startswith("  Step 2/9")
    assert walk_through(reader, GOOD, lambda pilot: pilot.click("#keys", offset=(29, 0))).ended

    async def wheel(pilot):
        detail = pilot.app.screen.detail
        detail.scroll_lines(3)
        await pilot.pause()

    assert walk_through(reader, GOOD, "down", "e", wheel).text != walk_through(reader, GOOD, "down", "e").text


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
def test_every_size_is_filled_and_nothing_wraps(reader, size):
    """From a console to a wide monitor; wide characters take their two columns."""
    from rich.cells import cell_len

    for keys in (("down",), ("down", "down", "down"), ("s",), ("question_mark",)):
        seen = walk_through(reader, GOOD, *keys, size=size)

        assert len(seen.lines) == size[1]
        assert max(map(cell_len, seen.lines)) <= size[0]


def test_a_text_console_gets_signs_that_its_font_has(reader):
    """Linux's console knows 256 or 512 signs; an unknown one is a blot."""
    known = set(bytes(range(32, 256)).decode("cp437") + "↑↓→←►◄▲▼•")
    seen = walk_through(reader, "550e", "end", terminal=Terminal("console"))
    assert set(seen.text) - {"\n"} <= known

    assert walk_through(reader, "550e", "end", terminal=Terminal("ascii")).text.isascii()


def test_without_colour_nothing_is_coloured(reader):
    """NO_COLOR: failure and focus show by signs and by reversed text."""
    plain = walk_through(reader, "550e", "f", terminal=Terminal(color=False))
    coloured = walk_through(reader, "550e", "f")

    assert plain.lines == coloured.lines
    fills = {line for line in plain.svg.split("fill: ")[1:]}
    assert len({fill[:7] for fill in fills}) < len({fill[:7] for fill in coloured.svg.split("fill: ")[1:]})


def test_what_the_record_lacks_stands_at_the_top(new_database, tmp_path):
    """A walk through half a record must not look like the whole."""
    from flux.screens.reader import Reader

    project = story.told(new_database(), tmp_path)
    with psycopg.connect(project.database_url) as connection:
        connection.execute("delete from flux.execution_spans where request_id = %s and span_id = 3", (story.FAILED,))
    reader = Reader(project, project.database_url)

    assert "not recorded: 1 of its 4 steps were not recorded" in walk_through(reader, "550e").lines[1]
    reader.close()


def test_a_database_that_goes_away_is_said_and_asked_again(new_database, tmp_path):
    """A long walk outlives a restart of the server."""
    from flux.screens.reader import Reader

    project = story.told(new_database(), tmp_path)
    reader = Reader(project, project.database_url)
    walk = reader.walk("550e")
    with psycopg.connect(project.database_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    assert reader.detail(walk, walk.steps[0])["span"]["name"] == "POST /upgrade"

    reader.close()
    lost = Reader(replace(project, database_url="postgresql://127.0.0.1:1/none"), "postgresql://127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        lost.walk("550e")

    class Gone(Reader):
        def detail(self, walk, step):
            return lost.detail(walk, step)

    gone = Gone(project, project.database_url)
    assert "connection" in walk_through(gone, "550e", "down").text
    gone.close()
