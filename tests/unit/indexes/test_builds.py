from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamina.indexes.build import Gate, RecallTooLow, build_index
from lamina.indexes.builds import Builds, Published
from lamina.indexes.changes import Change
from lamina.indexes.manifest import Manifest
from lamina.scoring.retrieval import RetrievalError
from tests.unit.indexes.made import VERSION, items, users

GATE = Gate(users(), k=10)
IDS, VECTORS = items(50)


def publish(builds: Builds, version: str = VERSION, *, through: int = 0, kept: int = 3) -> Published:
    return builds.publish(IDS, VECTORS, model_version=version, gate=GATE, through=through, kept=kept)


def test_the_last_that_was_published_serves(tmp_path: Path) -> None:
    builds = Builds(tmp_path / "index")
    assert builds.serving() is None and builds.numbers() == []
    first, second = publish(builds, "3"), publish(builds, "4")
    assert (first.number, first.serves, second.number, second.serves) == (1, True, 2, True)
    assert builds.serving() == 2 and builds.numbers() == [1, 2]
    assert Manifest.read(builds.path(2)) == second.manifest and second.manifest.model_version == "4"
    assert Builds(tmp_path / "index").serving() == 2


def test_what_the_gate_refuses_leaves_nothing(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    publish(builds)
    ids, vectors = items()
    with pytest.raises(RecallTooLow):
        builds.publish(ids, vectors, model_version="5", gate=replace(GATE, most_probed=0.001), through=0)
    assert builds.serving() == 1 and [each.name for each in builds.path(0).parent.iterdir()] == ["00000001"]


def test_a_build_that_was_overtaken_does_not_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds, place = Builds(tmp_path), "lamina.indexes.builds.build_index"

    def slow(*arguments: object, **named: object) -> Manifest:
        monkeypatch.setattr(place, build_index)
        assert publish(builds, "5").number == 2
        return build_index(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(place, slow)
    assert publish(builds, "4")[::2] == (1, False)
    assert builds.serving() == 2


def test_what_was_rolled_back_does_not_return_but_a_new_build_serves(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    for version in "345":
        publish(builds, version)
    assert builds.roll_back(3) == 2 and builds.roll_back(3) == 2 and builds.serving() == 2
    assert builds.roll_back(2) == 1
    with pytest.raises(RetrievalError, match="no build before 1"):
        builds.roll_back(1)
    assert publish(builds, "6").number == 4 and builds.serving() == 4


def test_the_number_of_one_that_served_is_never_given_again(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    publish(builds)
    publish(builds)
    builds.roll_back(2)
    for file in builds.path(2).iterdir():
        file.unlink()
    builds.path(2).rmdir()
    assert publish(builds).number == 3


def test_only_the_last_stay_with_what_serves_and_the_changes_they_need(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    for number in range(1, 7):
        assert builds.changes.append(Change(removed=[f"gone-{number}"])) == number
    publish(builds, through=1)
    publish(builds, through=3)
    builds.roll_back(2)
    for through in (4, 5, 6):
        publish(builds, through=through, kept=2)
    assert builds.numbers() == [4, 5] and builds.serving() == 5
    assert [number for number, _ in builds.changes.after(5)] == [6]
    with pytest.raises(RetrievalError, match=r"begins with change 6, and 5 is needed"):
        list(builds.changes.after(4))


def test_what_serves_stays_however_old_it_is(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    publish(builds)
    publish(builds)
    builds.roll_back(2)
    (builds.path(3)).mkdir()
    builds._clear(1)
    assert builds.numbers() == [1, 2] and builds.path(3).exists()


def test_those_who_publish_at_once_take_no_number_from_each_other(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        numbers = [done.number for done in pool.map(lambda n: publish(builds, str(n), kept=9), range(6))]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6] and builds.serving() == 6


def test_a_number_is_given_once_though_its_folder_is_away(tmp_path: Path) -> None:
    """As it is for a moment, while what was built takes the place of the empty one."""
    builds = Builds(tmp_path)
    first, folder = builds._claim()
    folder.rmdir()
    assert (first, builds._claim()[0]) == (1, 2)


def test_a_pointer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "serving.json").write_text("{")
    with pytest.raises(RetrievalError, match=r"serving\.json cannot be read"):
        Builds(tmp_path).serving()


def test_vectors_that_are_none_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match="not finite"):
        Builds(tmp_path).publish(IDS, VECTORS * np.float32("nan"), model_version="1", gate=GATE, through=0)
    assert not list((tmp_path / "builds").iterdir())
