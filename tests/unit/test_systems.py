"""A system has one name in every layer: `ls` of any of them lists the product."""

from __future__ import annotations

import pkgutil

import pytest

from lamina.definitions import system_names
from lamina.demo.story import story_names
from lamina.orchestration.jobs import has_model
from lamina.settings import ROOT


def packages(folder: str) -> set[str]:
    """The packages in `folder`; modules beside them are everybody's."""
    return {module.name for module in pkgutil.iter_modules([str(ROOT / folder)]) if module.ispkg}


LAYERS = {
    "models": packages("models"),
    "serving/systems": packages("serving/systems"),
    "lamina/worlds": packages("lamina/worlds"),
    "lamina/demo/stories": set(story_names()),
}


COMPLETE = {system for system in system_names() if has_model(system)}
IN_THE_MAKING = frozenset({"recommendation"})
"""Has a model that is trained, and nothing yet that serves or shows it; entries are only ever removed."""


@pytest.mark.parametrize("layer", LAYERS)
def test_systems_with_a_model_are_there_under_their_names(layer: str) -> None:
    """A system without a model has its record, and what of the layers is there already."""
    assert COMPLETE - IN_THE_MAKING <= LAYERS[layer], f"{layer} has to hold every system with a model"
    assert LAYERS[layer] <= set(system_names()), f"{layer} has to hold systems with a record, and nothing else"


def test_every_model_has_its_world_and_is_trained() -> None:
    assert LAYERS["models"] == COMPLETE <= LAYERS["lamina/worlds"]


def test_what_is_made_is_in_the_making_no_longer() -> None:
    assert not {system for system in IN_THE_MAKING if all(system in layer for layer in LAYERS.values())}
