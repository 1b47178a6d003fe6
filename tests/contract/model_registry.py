"""What every model registry must do: a backend's test subclasses `RegistryContract` and gives the fixture."""

from __future__ import annotations

import uuid
from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path

import pytest

from lamina.registry.deploy import challenge, promote, rollback
from lamina.registry.protocol import (
    CHALLENGER,
    CHAMPION,
    KIND,
    MODEL_FOLDER,
    PREVIOUS,
    Kind,
    ModelRegistry,
    NotInRegistry,
    RegistryError,
    TrainingRun,
    find,
    supersede_kind,
    trained_for,
)

DAY = date(2018, 8, 21)


@pytest.fixture
def name() -> str:
    """A model and experiment of one's own: a server is shared by the session."""
    return f"model-{uuid.uuid4().hex[:8]}"


def recorded(registry: ModelRegistry, name: str, folder: Path, content: str = "weights", day: date = DAY) -> str:
    """Record a run with one file and register nothing; returns the run's id."""
    artefacts = folder / uuid.uuid4().hex
    (artefacts / MODEL_FOLDER).mkdir(parents=True)
    (artefacts / MODEL_FOLDER / "weights.txt").write_text(content)
    (artefacts / "notes.txt").write_text("not served")
    run = TrainingRun(name, day, artefacts, {"depth": 3}, {"auc": 0.9}, {"git_commit": "abc"})
    return registry.record(run)


def registered(registry: ModelRegistry, name: str, folder: Path, content: str = "weights", day: date = DAY) -> str:
    """Record a run and register it; returns the version."""
    run_id = recorded(registry, name, folder, content, day)
    return registry.register(name, run_id, {"logical_date": day.isoformat()}).version


class RegistryContract:
    """The suite. `delete` takes a version away past our interface, as somebody does in the registry's own UI."""

    def delete(self, registry: ModelRegistry, name: str, version: str) -> None:
        raise NotImplementedError

    @pytest.mark.parametrize("bad", ["a'b", 'a"b', "a/b", "../x", "a b", "", "\u00fc", "-x", "a\n", "x" * 129, "a%b"])
    def test_a_name_is_checked_at_the_door(self, registry: ModelRegistry, name: str, tmp_path: Path, bad: str) -> None:
        run_id = recorded(registry, name, tmp_path)
        with pytest.raises(RegistryError, match="cannot be the name of a model"):
            registry.register(bad, run_id, {})
        with pytest.raises(RegistryError, match="cannot be the name of a model"):
            registry.record(TrainingRun(bad, DAY, tmp_path))
        assert bad not in registry.names() and registry.versions(bad) == []

    @pytest.mark.parametrize("bad", ["a'b", "a b", "", "7", "latest", "v3", "a\n", "x" * 65, "a/b"])
    def test_an_alias_is_checked_at_the_door(
        self, registry: ModelRegistry, name: str, tmp_path: Path, bad: str
    ) -> None:
        version = registered(registry, name, tmp_path)
        with pytest.raises(RegistryError, match="cannot be an alias"):
            registry.set_alias(name, bad, version)
        assert registry.versions(name)[0].aliases == ()

    def test_no_two_names_are_mistaken_for_each_other(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        registered(registry, name, tmp_path)
        registered(registry, f"{name}_x", tmp_path)
        assert [v.name for v in registry.versions(name)] == [name]
        assert registry.versions(f"{name}%") == [] == registry.versions(f"{name}' or name != '")

    def test_a_rollback_after_the_champion_was_deleted(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        first, second = (registered(registry, name, tmp_path) for _ in range(2))
        promote(registry, name, first)
        promote(registry, name, second)
        self.delete(registry, name, second)
        assert registry.alias(name, CHAMPION) is None
        assert rollback(registry, name) == first
        champion = registry.alias(name, CHAMPION)
        assert champion is not None and champion.version == first
        with pytest.raises(RegistryError, match=r"no version under the alias 'previous'.*lamina models promote"):
            rollback(registry, name)
        third = registered(registry, name, tmp_path)
        promote(registry, name, third)
        assert [rollback(registry, name) for _ in range(2)] == [first, third]

    def test_a_rollback_to_a_deleted_version_is_refused(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        first, second = (registered(registry, name, tmp_path) for _ in range(2))
        promote(registry, name, first)
        promote(registry, name, second)
        self.delete(registry, name, first)
        with pytest.raises(RegistryError, match="lamina models promote"):
            rollback(registry, name)
        champion = registry.alias(name, CHAMPION)
        assert champion is not None and champion.version == second

    def test_an_unknown_model_has_no_versions(self, registry: ModelRegistry, name: str) -> None:
        assert registry.versions(name) == []
        assert registry.alias(name, CHAMPION) is None
        assert name not in registry.names()

    def test_versions_count_up_and_come_newest_first(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        for _ in range(2):
            registered(registry, name, tmp_path)
        versions = registry.versions(name)
        assert [v.version for v in versions] == ["2", "1"]
        assert registry.names().count(name) == 1
        assert registry.names() == sorted(registry.names())
        assert versions[0].name == name
        assert versions[0].tags["logical_date"] == DAY.isoformat()
        assert versions[0].created_ms >= versions[1].created_ms > 1_500_000_000_000

    def test_versions_are_told_apart_and_ordered_as_numbers(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        """As texts, "10" is before "9". What comes over a wire is equal and never the same object."""
        run_id = recorded(registry, name, tmp_path)
        for _ in range(11):
            registry.register(name, run_id, {})
        assert [v.version for v in registry.versions(name)] == [str(n) for n in range(11, 0, -1)]
        for version in (9, 10, 10, 11):
            promote(registry, name, f"{version}")
        assert {v.version: v.aliases for v in registry.versions(name) if v.aliases} == {
            "11": (CHAMPION,),
            "10": (PREVIOUS,),
        }
        challenge(registry, name, f"{10}")
        with pytest.raises(RegistryError, match=r"version 11 of .* is the champion: it cannot challenge itself"):
            challenge(registry, name, f"{11}")
        registry.tag(name, f"{10}", "note", "x")
        assert [v.version for v in registry.versions(name) if "note" in v.tags] == ["10"]
        assert find(registry, name, f"{10}").aliases == (CHALLENGER, PREVIOUS)
        promote(registry, name, f"{10}")
        assert {v.version: v.aliases for v in registry.versions(name) if v.aliases} == {
            "11": (PREVIOUS,),
            "10": (CHAMPION,),
        }
        with pytest.raises(RegistryError, match="has no version 12; it has 11, 10, 9"):
            find(registry, name, "12")
        registry.set_alias(name, PREVIOUS, f"{10}")
        with pytest.raises(RegistryError, match="no version under the alias"):
            rollback(registry, name)

    def test_aliases_of_one_model_are_not_those_of_another(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        for each in (f"{name}-a", f"{name}-b", f"{name}-c"):
            registered(registry, each, tmp_path)
        registry.set_alias(f"{name}-b", CHAMPION, "1")
        held = [registry.versions(f"{name}-{which}")[0].aliases for which in "abc"]
        assert held == [(), (CHAMPION,), ()]

    def test_a_registered_version_is_returned_as_it_is_listed(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        run_id = recorded(registry, name, tmp_path)
        made = registry.register(name, run_id, {"x": "y"})
        assert made == find(registry, name, "1")
        assert made.run_id == run_id
        with pytest.raises(FrozenInstanceError):
            made.version = "2"  # type: ignore[misc]

    def test_a_download_holds_the_model_and_nothing_else(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        first = registered(registry, name, tmp_path, "one")
        second = registered(registry, name, tmp_path, "two")
        for version, content in ((first, "one"), (second, "two")):
            folder = registry.download(name, version, tmp_path / "served" / version)
            assert (folder / "weights.txt").read_text() == content
            assert [file.name for file in folder.iterdir()] == ["weights.txt"]

    def test_an_alias_points_at_one_version_and_moves(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        first, second = (registered(registry, name, tmp_path) for _ in range(2))
        registry.set_alias(name, CHAMPION, first)
        registry.set_alias(name, CHAMPION, second)
        champion = registry.alias(name, CHAMPION)
        assert champion is not None
        assert champion.version == second
        assert [v.aliases for v in registry.versions(name)] == [(CHAMPION,), ()]
        assert champion == find(registry, name, second)
        assert registry.alias(name, PREVIOUS) is None
        assert registry.alias(name, second) is None

    def test_a_dropped_alias_is_gone_and_may_be_dropped_again(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        registry.set_alias(name, CHAMPION, registered(registry, name, tmp_path))
        for _ in range(2):
            registry.drop_alias(name, CHAMPION)
            assert registry.alias(name, CHAMPION) is None

    def test_tags_are_set_and_replaced(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        version = registered(registry, name, tmp_path)
        for value in ("a", "b"):
            registry.tag(name, version, "note", value)
            assert find(registry, name, version).tags["note"] == value

    def test_what_is_not_there_is_named(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        registered(registry, name, tmp_path)
        for ask in (
            lambda: registry.set_alias(name, CHAMPION, "7"),
            lambda: registry.tag(name, "7", "a", "b"),
            lambda: registry.download(name, "7", tmp_path / "x"),
        ):
            with pytest.raises(RegistryError, match="has no version 7; it has 1"):
                ask()

    def test_a_run_without_a_model_cannot_be_registered(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").mkdir()
        run_id = registry.record(TrainingRun(name, DAY, tmp_path / "empty"))
        with pytest.raises(RegistryError, match="has no folder 'model'"):
            registry.register(name, run_id, {})

    def test_a_later_run_of_a_day_replaces_the_earlier(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        old, other = recorded(registry, name, tmp_path), recorded(registry, name, tmp_path, day=date(2018, 8, 22))
        registry.register(name, old, {"logical_date": DAY.isoformat()})
        registry.register(name, other, {"logical_date": "2018-08-22"})
        new = recorded(registry, name, tmp_path)
        version = registry.register(name, new, {"logical_date": DAY.isoformat()}).version
        assert registry.supersede(name, DAY, by=new) == [old]
        assert registry.supersede(name, DAY, by=new) == []
        assert {v.run_id for v in registry.versions(name)} == {new, other}
        found = trained_for(registry, name, DAY)
        assert found is not None
        assert found.version == version

    def test_of_many_runs_of_a_day_one_is_left_and_what_serves(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        runs = sorted(recorded(registry, name, tmp_path) for _ in range(5))
        for run_id in runs:
            registry.register(name, run_id.encode().decode(), {})
        registry.set_alias(name, PREVIOUS, "2")
        registry.set_alias(name, CHAMPION, "3")
        by = runs[2].encode().decode()
        assert sorted(registry.supersede(name, DAY, by=by)) == [run_id for run_id in runs if run_id != by]
        left = {v.version: v.tags.get("superseded_by") for v in registry.versions(name)}
        assert left == {"2": by, "3": None}

    def test_of_a_day_the_version_trained_for_it_is_found(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        for day in (20, 21, 21, 22):
            registered(registry, name, tmp_path, day=date(2018, 8, day))
        found = [trained_for(registry, name, date(2018, 8, day)) for day in (19, 20, 21, 22, 23)]
        assert [each and each.version for each in found] == [None, "1", "3", "4", None]

    def test_of_a_day_and_a_kind_the_newest_run_stands(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        for kind in ({}, {KIND: "blend"}, {KIND: "online"}, {KIND: "blend"}):
            tags = {"logical_date": DAY.isoformat(), **kind}
            registry.register(name, recorded(registry, name, tmp_path), tags)
        last = registry.versions(name)[0].run_id
        supersede_kind(registry, name, DAY, Kind.BLEND, by=last)
        supersede_kind(registry, name, date(2018, 8, 22), Kind.ONLINE, by=last)
        found = {kind: trained_for(registry, name, DAY, kind) for kind in (None, *Kind)}
        assert {kind: each and each.version for kind, each in found.items()} == {
            None: "4",
            Kind.TRAINING: "1",
            Kind.BLEND: "4",
            Kind.ONLINE: "3",
            Kind.RANKER: None,
        }
        assert find(registry, name, "2").tags["superseded_by"] == last
        # A run that came to no version leaves none of its kind.
        supersede_kind(registry, name, DAY, Kind.BLEND, by="another")
        assert trained_for(registry, name, DAY, Kind.BLEND) is None

    def test_a_version_that_serves_survives_its_successor(
        self, registry: ModelRegistry, name: str, tmp_path: Path
    ) -> None:
        serving = registered(registry, name, tmp_path, "serving")
        promote(registry, name, serving)
        new = recorded(registry, name, tmp_path)
        registry.supersede(name, DAY, by=new)
        assert find(registry, name, serving).tags["superseded_by"] == new
        assert trained_for(registry, name, DAY) is None
        folder = registry.download(name, serving, tmp_path / "served")
        assert (folder / "weights.txt").read_text() == "serving"

    def test_numbers_are_not_used_again(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        registered(registry, name, tmp_path)
        kept = recorded(registry, name, tmp_path)
        registry.register(name, kept, {})
        registry.supersede(name, DAY, by=kept)
        assert [v.version for v in registry.versions(name)] == ["2"]
        assert registered(registry, name, tmp_path) == "3"

    def test_what_is_attached_is_read_and_not_served(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        version = registered(registry, name, tmp_path)
        card = tmp_path / "card.md"
        for text in ("# first", "# second, in its place: \u20ac"):
            card.write_text(text, encoding="utf-8")
            registry.attach(name, version, card)
            assert registry.read(name, version, "card.md") == text
        folder = registry.download(name, version, tmp_path / "served")
        assert [file.name for file in folder.iterdir()] == ["weights.txt"]
        with pytest.raises(NotInRegistry, match=r"has no other\.md"):
            registry.read(name, version, "other.md")

    def test_promotion_remembers_who_served_before(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        first, second = (registered(registry, name, tmp_path) for _ in range(2))
        promote(registry, name, first)
        assert registry.alias(name, PREVIOUS) is None
        promote(registry, name, second)
        promote(registry, name, second)
        assert [v.aliases for v in registry.versions(name)] == [(CHAMPION,), (PREVIOUS,)]

    def test_a_rollback_is_undone_by_another(self, registry: ModelRegistry, name: str, tmp_path: Path) -> None:
        first, second = (registered(registry, name, tmp_path) for _ in range(2))
        promote(registry, name, first)
        with pytest.raises(RegistryError, match="lamina models promote"):
            rollback(registry, name)
        promote(registry, name, second)
        assert [rollback(registry, name) for _ in range(3)] == [first, second, first]
