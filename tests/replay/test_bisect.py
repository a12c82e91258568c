"""The search for the first bad commit, over real repositories; how a commit answers is made up, all else is git."""

from __future__ import annotations

import math
import random

import pytest
from repository import Repository

from flux.deploy.commits import Commits
from flux.errors import CannotBisect
from flux.replay.bisect import CONFIRMING_RUNS, Bisection
from flux.replay.trials import Trial

LENGTH = 48


class Search:
    """A search in which `answers` says how each commit answers: one word, or several of which each run takes the next.

    What is not listed passes. Counts what was run and hears what is told.
    """

    def __init__(self, repository: Repository, answers: dict[str, str], *, root=None, **settings) -> None:
        self.commits = Commits(root or repository.root)
        self.answers = answers
        self.ran: list[str] = []
        self.stretches = []
        self.told: list[Trial] = []
        self.bisection = Bisection(self.commits, self.test, self, **settings)

    def run(self, bad="HEAD", good=None, hint=None):
        find = self.commits.find
        return self.bisection.run(find(bad), find(good) if good else None, find(hint) if hint else None)

    def test(self, commit, times):
        trials = []
        for _ in range(times):
            words = self.answers.get(commit.sha, "passes").split()
            answer = words[self.ran.count(commit.sha) % len(words)]
            self.ran.append(commit.sha)
            trials.append(Trial(commit, answer, f"because it {answer}", answers=(answer,)))
        return trials

    def began(self, stretch):
        self.stretches.append(stretch)

    def testing(self, commit):
        pass

    def tested(self, trial):
        self.told.append(trial)

    @property
    def distinct(self) -> int:
        """How many commits were run at all."""
        return len(set(self.ran))


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A repository of 48 commits in a row, and their shas, oldest first."""
    repository = Repository(tmp_path_factory.mktemp("line"))
    return repository, repository.graph([[]] + [[number] for number in range(LENGTH - 1)])


@pytest.fixture
def repository(tmp_path) -> Repository:
    """A repository with one commit."""
    made = Repository(tmp_path)
    made.commit()
    return made


def failing(shas):
    """All of these fail."""
    return dict.fromkeys(shas, "fails")


@pytest.mark.parametrize("planted", [1, 2, 7, 23, 24, 31, 46, 47])
def test_the_first_bad_commit_is_found_in_about_log2_runs(line, planted):
    """Each run costs a checkout and a process; that is why it halves at all."""
    repository, shas = line
    search = Search(repository, failing(shas[planted:]))

    found = search.run(good=shas[0])

    assert found.result == "found"
    assert found.first_bad.sha == shas[planted]
    assert found.before.sha == shas[planted - 1]
    assert search.distinct <= 2 + math.ceil(math.log2(LENGTH - 1))
    assert found.runs == len(search.ran) == search.distinct + 2 * CONFIRMING_RUNS
    assert search.stretches[0].commits == LENGTH - 1


@pytest.mark.parametrize("planted", [1, 23, 39, 47])
def test_without_a_good_commit_one_is_looked_for_by_doubling_steps(line, planted):
    """Who knows only the failing request need not know since when; old code is not run when new code will do."""
    repository, shas = line
    search = Search(repository, failing(shas[planted:]))

    found = search.run()

    assert found.first_bad.sha == shas[planted]
    assert search.distinct <= 2 + 2 * math.ceil(math.log2(LENGTH - planted) + 1)
    back = [shas.index(trial.commit.sha) - 47 for trial in search.told]
    assert back[:5] == [0, -1, -2, -4, -8][: len(back)]


def test_the_code_of_the_last_good_run_is_tried_first(line):
    """The record often knows a good end, so that nothing has to be looked for."""
    repository, shas = line
    search = Search(repository, failing(shas[40:]))

    found = search.run(hint=shas[36])

    assert found.first_bad.sha == shas[40]
    assert [trial.commit.sha for trial in search.told[:2]] == [shas[-1], shas[36]]
    assert search.stretches[0].commits == LENGTH - 37


def test_a_hint_that_fails_too_is_where_looking_goes_on(line):
    """What went well with another input may fail with this one."""
    repository, shas = line
    search = Search(repository, failing(shas[20:]))

    found = search.run(hint=shas[36])

    assert found.first_bad.sha == shas[20]
    assert search.told[2].commit.sha == shas[35]


@pytest.mark.parametrize("seed", range(12))
def test_merges_are_searched_as_git_does(tmp_path, seed):
    """In any history, what is named is the one commit that all bad ones come from, and few are run to find it."""
    chance = random.Random(seed)
    parents: list[list[int]] = [[]]
    for number in range(1, 60):
        first = max(0, number - chance.choice((1, 1, 1, 1, 2, 3)))
        parents.append(sorted({first, chance.randrange(number)} if chance.random() < 0.3 else {first}))
    tips = set(range(60)) - {parent for of in parents for parent in of}
    parents.append(sorted(tips))
    repository = Repository(tmp_path)
    shas = repository.graph(parents)
    planted = chance.randint(1, 59)
    bad = {planted}
    for number, of in enumerate(parents):
        if bad & set(of):
            bad.add(number)
    search = Search(repository, failing(shas[number] for number in bad))

    found = search.run(good=shas[0])

    assert found.result == "found"
    assert found.first_bad.sha == shas[planted]
    assert search.distinct <= 2 + 2 * math.ceil(math.log2(61))


def test_a_merge_of_two_good_branches_can_be_the_first_bad_commit(repository):
    """Two changes may each be right and break each other."""
    good = repository.head
    repository.git("switch", "-q", "-c", "side")
    side = repository.commit({"side.txt": "one"})
    repository.git("switch", "-q", "main")
    left = repository.commit()
    merge = repository.merge("side")
    later = [repository.commit() for _ in range(5)]
    search = Search(repository, failing([merge, *later]))

    found = search.run(good=good)

    assert found.first_bad.sha == merge
    assert found.first_bad.parents == (left, side)
    assert {left, side} <= set(search.ran)
    assert found.before.sha == left


def test_commits_that_cannot_be_run_are_gone_around(line):
    """One commit with a typing error must not stop the search, nor be blamed."""
    repository, shas = line
    broken = dict.fromkeys([*shas[20:28]], "skipped")
    search = Search(repository, failing(shas[30:]) | broken)

    found = search.run(good=shas[0])

    assert found.result == "found"
    assert found.first_bad.sha == shas[30]
    assert [trial for trial in found.trials if trial.answer == "skipped"]
    assert search.distinct <= 12


def test_commits_that_cannot_be_told_apart_are_all_named(line):
    """The first bad one may be among those that cannot be run; to name one of them would be a guess."""
    repository, shas = line
    broken = dict.fromkeys(shas[28:30], "skipped")
    search = Search(repository, failing(shas[30:]) | broken)

    found = search.run(good=shas[0])

    assert found.result == "range"
    assert {commit.sha for commit in found.suspects} == set(shas[28:31])
    assert found.first_bad is None


def test_a_flaky_answer_is_said(line):
    """What passes and fails by turns cannot be halved; a name would be made up."""
    repository, shas = line
    search = Search(repository, failing(shas[30:]) | {shas[29]: "passes fails passes"})

    found = search.run(good=shas[0])

    assert found.result == "flaky"
    assert any("fails in 1 of 3 runs" in note for note in found.notes)


def test_a_fault_that_comes_and_goes_is_found_with_more_runs_each(line):
    """With --repeat, one failure in several runs is a failure."""
    repository, shas = line
    search = Search(repository, dict.fromkeys(shas[30:], "passes passes fails"), repeat=3)

    found = search.run(good=shas[0])

    assert found.result == "found"
    assert found.first_bad.sha == shas[30]
    assert any("runs of the same code" in note for note in found.notes)


def test_a_revert_and_a_return_are_told_apart(repository):
    """Bad, good, bad: the question is how it is bad now, not how it was once."""
    good = repository.commit({"f.py": "good\n"})
    first = repository.commit({"f.py": "bad\n"}, "feat: break it")
    between = [repository.commit() for _ in range(9)]
    revert = repository.revert(first)
    calm = [repository.commit() for _ in range(3)]
    again = repository.revert(revert)
    later = [repository.commit() for _ in range(2)]
    search = Search(repository, failing([first, *between, again, *later]))

    found = search.run(good=good)

    assert found.first_bad.sha == again
    assert found.before.sha == calm[-1]
    assert any(first[:7] in note and revert[:7] in note for note in found.notes)


def test_a_branch_from_before_the_fix_does_not_hide_where_it_came_from(repository):
    """Broken, mended on main, and brought back by a branch that began in between: the first of all is to blame."""
    good, broken, *_, side, _ = shas = repository.graph([[], [0], [1], [2], [3], [1], [4, 5]])
    search = Search(repository, failing([broken, side, shas[-1]]))

    found = search.run(good=good)

    assert found.first_bad.sha == broken
    assert found.before.sha == good
    assert any(broken[:7] in note for note in found.notes)


def test_the_same_content_is_run_once(repository):
    """A revert brings back what is known already."""
    good = repository.commit({"f.py": "good\n"})
    repository.commit({"f.py": "other\n"})
    back = repository.commit({"f.py": "good\n"})
    bad = repository.commit({"f.py": "bad\n"})
    search = Search(repository, failing([bad]))

    found = search.run(good=good)

    assert found.first_bad.sha == bad
    assert next(trial for trial in search.told if trial.commit.sha == back).like


def test_a_good_commit_that_fails_is_said(line):
    """Between two bad ends there is nothing to find."""
    repository, shas = line
    search = Search(repository, failing(shas[10:]))

    found = search.run(good=shas[20])

    assert found.result == "good fails"
    assert found.first_bad.sha == shas[20]
    assert search.distinct == 2


def test_a_bad_commit_that_passes_is_said(line):
    """A fault that does not show again has to be looked for elsewhere."""
    repository, shas = line
    search = Search(repository, {})

    found = search.run(good=shas[20])

    assert found.result == "bad passes"
    assert search.distinct == 1


def test_no_good_commit_is_said_with_the_oldest_that_fails(line):
    """It never worked: that is an answer too, and not a commit to blame."""
    repository, shas = line
    search = Search(repository, failing(shas))

    found = search.run()

    assert found.result == "no good"
    assert found.first_bad.sha == shas[0]
    assert found.before is None
    assert search.distinct <= 8


def test_what_cannot_be_run_at_the_beginning_of_history_is_no_good_commit(line):
    """Code from before the project used Flux says nothing about when the fault came."""
    repository, shas = line
    search = Search(repository, failing(shas[17:]) | dict.fromkeys(shas[:17], "skipped"))

    found = search.run()

    assert found.result == "no good"
    assert found.first_bad.sha == shas[17]
    assert search.distinct <= 13


def test_a_good_commit_after_unrunnable_ones_is_found(line):
    """The steps back may jump over all commits that pass."""
    repository, shas = line
    search = Search(repository, failing(shas[20:]) | dict.fromkeys(shas[:17], "skipped"))

    found = search.run()

    assert found.result == "found"
    assert found.first_bad.sha == shas[20]


def test_a_function_born_with_its_fault_is_said_to(line):
    """Before that commit nobody could have called it."""
    repository, shas = line
    search = Search(repository, failing(shas[17:]) | dict.fromkeys(shas[:17], "absent"))

    found = search.run()

    assert found.first_bad.sha == shas[17]
    assert any("because it absent" in note for note in found.notes)


def test_ends_in_the_wrong_order_are_refused(line):
    """Swapped ends would name the commit that mended it."""
    repository, shas = line
    search = Search(repository, failing(shas[10:]))

    with pytest.raises(CannotBisect, match="comes after") as caught:
        search.run(bad=shas[5], good=shas[20])

    assert "--good" in caught.value.hint
    assert not search.ran


def test_histories_without_a_common_commit_are_refused(repository):
    """There is no way from one to the other."""
    one = repository.head
    repository.git("switch", "-q", "--orphan", "other")
    other = repository.commit({"a": "a"})

    with pytest.raises(CannotBisect, match="no commit in common"):
        Search(repository, failing([one])).run(bad=one, good=other)


def test_a_good_commit_on_another_branch_needs_a_good_fork(repository):
    """If the commit where both parted fails, it was mended on one branch, not broken on the other."""
    fork = repository.commit()
    repository.git("switch", "-q", "-c", "mended")
    good = repository.commit({"mended.txt": "1"})
    repository.git("switch", "-q", "main")
    bad = [repository.commit() for _ in range(6)]

    mended = Search(repository, failing([fork, *bad])).run(good=good)
    broken = Search(repository, failing(bad[3:])).run(good=good)

    assert mended.result == "good fails"
    assert mended.first_bad.sha == fork
    assert "mended on the way" in mended.notes[0]
    assert broken.first_bad.sha == bad[3]


def test_a_project_in_a_subfolder_runs_only_commits_that_touch_it(repository):
    """In a repository of many services, most commits are about others."""
    ours = []
    for number in range(30):
        if number % 5 == 0:
            ours.append(repository.commit({"services/shop/f.py": f"{number}"}))
        repository.commit({f"services/other/{number}.py": "x"})
    search = Search(repository, failing(ours[3:]), root=repository.root / "services/shop")

    found = search.run(good=ours[0])

    assert found.first_bad.sha == ours[3]
    assert set(search.ran) <= set(ours)
    assert found.before.sha == ours[2]
    assert found.stretch.commits == 5


def test_searching_leaves_the_repository_alone(line):
    """Not a branch, not the index, no file."""
    repository, shas = line
    repository.write({"notes.txt": "changed, not committed"})
    before = repository.state()

    Search(repository, failing(shas[20:])).run(good=shas[0])

    assert repository.state() == before
    repository.git("checkout", "-q", "--", "notes.txt")
