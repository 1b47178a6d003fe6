"""Towers trained for real, small, in the environment with torch; skipped where there is none."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina.registry.memory import MemoryRegistry
from lamina.scoring.exact_index import ExactIndex
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.files import read_arrays
from lamina.scoring.retrievers.tokens import Tokens
from lamina.scoring.retrievers.towers import Towers
from lamina.settings import ROOT
from lamina.training.retrieval.publish import open_version, publish
from lamina.training.retrieval.towers.data import write_examples
from lamina.training.retrieval.towers.method import TrainTowers, command, run_training
from lamina.training.retrieval.towers.settings import CHECKPOINT_FILE, DONE_FILE, TowerSettings
from lamina.training.torch_process import ENVIRONMENT, here

pytestmark = pytest.mark.skipif(not here(), reason="there is no environment with torch: make networks")

USERS, TASTES = 40, 4
SETTINGS = TowerSettings(dimensions=8, hidden=8, batch=64, epochs=20, rate=0.01, decay=0.01, checkpoint=20, longest=12)


def seen() -> Interactions:
    """Each of four tastes has ten items, of which its users met eight: five steps of 64 an epoch, so a hundred."""
    rows = [(u, f"{u % TASTES}-{(u + n) % 10}") for u in range(USERS) for n in range(8)]
    return Interactions.of([u for u, _ in rows], [i for _, i in rows])


SEEN = seen()
NOBODY = replace(SEEN, users=np.append(SEEN.users, "nobody"), items=np.append(SEEN.items, "nothing"))
"""With a user and an item that are in no pair."""
WORDS = Tokens.of((item, [f"taste={item[0]}"]) for item in SEEN.items)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("towers") / "examples"
    write_examples(NOBODY, folder, SETTINGS, Tokens({}), WORDS, rows_a_shard=100)
    return folder


@pytest.fixture(scope="module")
def killed(examples: Path) -> Path:
    """Trained by a process that was killed at its first checkpoint, and by another after it."""
    out = examples.parent / "killed"
    process = subprocess.Popen(command(examples, out, 1), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 120
    while not (out / CHECKPOINT_FILE).exists() and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (out / CHECKPOINT_FILE).exists() and not (out / DONE_FILE).exists()
    run_training(examples, out)
    return out


@pytest.fixture(scope="module")
def parts(examples: Path) -> dict[str, Any]:
    """What `tests.torch_towers` found, alone and in two processes."""
    out = examples.parent / "found.json"
    programs = ENVIRONMENT / "bin"
    launchers = ([str(programs / "python")], [str(programs / "torchrun"), "--standalone", "--nproc-per-node=2"])
    for launcher in launchers:
        run = [*launcher, "-m", "tests.torch_towers", str(examples), str(out)]
        done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found | {"processes": [json.loads(out.with_suffix(f".{rank}").read_text()) for rank in range(2)]}


def test_two_processes_learn_as_one_does(parts: dict[str, Any]) -> None:
    one = np.array(parts["losses"])
    for process in parts["processes"]:
        assert len(one) == len(process["losses"]) == 100
        assert np.abs(one - process["losses"]).max() < 1e-4
        assert np.abs(np.array(parts["vectors"]) - process["vectors"]).max() < 1e-4
    assert one[-5:].mean() < one[:5].mean() - 0.3


def test_killed_and_started_again_it_ends_as_if_it_had_not_been(killed: Path, parts: dict[str, Any]) -> None:
    assert json.loads((killed / DONE_FILE).read_text())["losses"] == parts["losses"]
    assert np.array_equal(np.load(killed / "vectors.npy"), np.array(parts["vectors"], np.float32))


def test_what_is_finished_is_not_trained_again(examples: Path, killed: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in killed.iterdir()}
    run_training(examples, killed)
    assert {file.name: file.stat().st_mtime_ns for file in killed.iterdir()} == before


def opened(out: Path) -> Towers:
    return Towers.opened(NOBODY.items, read_arrays(out), {"longest": SETTINGS.longest})


def test_what_is_served_is_what_was_trained(killed: Path) -> None:
    """Vectors from numpy and ONNX are those that torch gave at the end, for items and by both of their ways."""
    towers = opened(killed)
    assert towers.vectors_of(NOBODY.items.tolist(), WORDS) == pytest.approx(towers.item_vectors(), abs=1e-5)
    index = ExactIndex(NOBODY.items.tolist(), towers.item_vectors(), model_version="1")
    found = index.search(towers.user_vectors(SEEN), 5, model_version="1")
    assert found.scores == pytest.approx(-np.sort(-towers.scores(SEEN), axis=1)[:, :5], abs=1e-4)


def taste_share(towers: Towers, asked: Interactions, taste: int) -> float:
    """Of the ten best items, those of the taste."""
    [scores] = towers.scores(asked)
    best = NOBODY.items[np.argsort(-scores)[:10]]
    return float(np.mean([item.startswith(f"{taste}-") for item in best]))


def test_who_and_what_came_later_is_told_by_the_rest(killed: Path) -> None:
    towers = opened(killed)
    met = [item for item in SEEN.items if item.startswith("2-")][:5]
    assert taste_share(towers, Interactions.of(["new"] * 5, met), 2) >= 0.8
    # An item without any history, known by its words alone, lies with those of its taste.
    [vector] = towers.vectors_of(["later"], Tokens({"later": ("taste=3",)}))
    closest = NOBODY.items[np.argsort(-(towers.item_vectors() @ vector))[:10]]
    assert np.mean([item.startswith("3-") for item in closest]) >= 0.8


def test_who_or_what_is_in_no_pair_has_no_vector_by_chance(killed: Path) -> None:
    """It is as unknown as one that the training was never told of."""
    towers = opened(killed)
    assert towers.users.tolist()[-1] == "nobody" and towers.items.tolist()[-1] == "nothing"
    asked = [Interactions.of([user], ["0-1"]) for user in ("nobody", "new", "nobody\0")]
    first, *others = (towers.scores(each) for each in asked)
    assert np.isfinite(first).all() and all(np.array_equal(first, other) for other in others)
    nothing = Tokens({})
    assert np.array_equal(towers.vectors_of(["nothing"], nothing), towers.vectors_of(["later"], nothing))


def test_registered_and_loaded_back(killed: Path, tmp_path: Path) -> None:
    registry, made, trained = MemoryRegistry(tmp_path / "registry"), opened(killed), TrainTowers(SETTINGS)
    version = publish(registry, "shop", date(2026, 1, 2), trained, made, SEEN, {}).version
    back = open_version(registry, "shop", tmp_path / "back", version)
    assert np.array_equal(back.retriever.scores(SEEN), made.scores(SEEN))
    assert back.spec.settings["temperature"] == 1.0 and back.spec.settings["method"] == "towers"


def test_the_correction_is_taken_off_and_gives_the_true_order(parts: dict[str, Any]) -> None:
    """What is drawn by P(item | user) and corrected by its share scores log P, up to a constant."""
    truth = np.array(parts["truth"])
    assert np.array(parts["signs"]["1"]) == pytest.approx(truth, abs=0.15)
    for wrong in ("0", "-1"):
        assert np.abs(np.array(parts["signs"][wrong]) - truth).max() > 0.5


def test_batch_norm_is_that_of_torch(parts: dict[str, Any]) -> None:
    for ours, theirs in parts["batch_norm"].values():
        assert np.array(ours) == pytest.approx(np.array(theirs), abs=1e-5)


def test_gradients_of_two_processes_are_those_of_one(parts: dict[str, Any]) -> None:
    one, two = parts["whole"], [each["whole"] for each in parts["processes"]]
    assert np.mean([each["loss"] for each in two]) == pytest.approx(one["loss"], abs=1e-6)
    for side in ("users", "items"):
        assert np.concatenate([each[side] for each in two]) == pytest.approx(np.array(one[side]), abs=1e-6)


def test_what_a_user_met_is_known_among_the_items_of_a_batch(parts: dict[str, Any]) -> None:
    assert parts["known"] == [[False, True, False, False], [True, False, True, False]]
