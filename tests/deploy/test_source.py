"""The source around a recorded place: as it was when it ran, or not at all."""

from __future__ import annotations

import pytest
from repository import Repository

from flux.deploy.source import Sources

CODE = "def pay(ctx):\n    ask()\n    raise ValueError('no')\n    return\n"
FRAME = {"file": "functions/pay.py", "line": 3, "function": "pay", "source": "raise ValueError('no')", "own": True}
ERROR = {"location": "functions/pay.py:3", "stack": [FRAME]}


@pytest.fixture
def tree(tmp_path):
    """A working tree without git."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "pay.py").write_text(CODE)
    return tmp_path


def test_the_commit_that_ran_has_the_lines(tmp_path):
    """Whatever the working tree holds by now."""
    repository = Repository(tmp_path / "shop")
    sha = repository.commit({"functions/pay.py": CODE}, "pay")
    repository.commit({"functions/pay.py": "# all new\n"}, "mend")

    found = Sources(tmp_path / "shop").around(ERROR, {"code_sha": sha})

    assert found["lines"] == list(enumerate(CODE.splitlines(), start=1))
    assert (found["place"], found["function"], found["line"], found["note"]) == ("functions/pay.py:3", "pay", 3, None)


def test_the_working_tree_has_them_while_the_recorded_line_stands(tree):
    """Without git there is only what can be checked."""
    assert Sources(tree).around(ERROR, {"code_sha": "abc"})["lines"][2] == (3, "    raise ValueError('no')")


def test_of_changed_code_only_the_recorded_line_is_shown(tree):
    """Lines that were not there then would mislead."""
    (tree / "functions" / "pay.py").write_text("# one line more\n" + CODE)

    found = Sources(tree).around(ERROR, {"code_sha": "abc"})

    assert found["lines"] == [(3, "raise ValueError('no')")]
    assert found["note"] == "the lines around it are not here as they were when it ran"


@pytest.mark.parametrize("file", ["/etc/passwd", "../../../../etc/passwd", "functions", "functions/\x00.py"])
def test_no_file_outside_of_the_project_is_read(tree, file):
    """The record says which file; whoever wrote the record must not choose what is shown."""
    frame = {**FRAME, "file": file, "line": 1, "source": "root:x:0:0:root:/root:/bin/bash"}

    found = Sources(tree).around({"location": f"{file}:1", "stack": [frame]}, {"code_sha": None})

    assert [text for _, text in found["lines"]] == ["root:x:0:0:root:/root:/bin/bash"], "what was recorded, no more"


def test_without_a_place_there_is_no_source(tree):
    """And no guess."""
    assert Sources(tree).around({"message": "no"}, {"code_sha": None}) is None
    assert Sources(tree).around({"location": "nowhere"}, {"code_sha": None}) is None
