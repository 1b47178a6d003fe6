"""Registered models by name: taken into service when they are first asked for, and kept current from then on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from lamina.errors import ModelUnavailable, UnknownModel
from lamina.registry.protocol import ModelRegistry, RegistryError
from serving.stages.model import Model, ServedModel

log = logging.getLogger(__name__)


class ModelRepository:
    """Finds the champion of any registered model.

    Args: source: makes the keeper of a model by its name; held: keepers that others keep current; every_s: how often to
    look for new champions, and at most how often for names that were not there before.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        source: Callable[[str], ServedModel],
        held: Mapping[str, ServedModel],
        *,
        every_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._source, self._every_s, self._now = registry, source, every_s, monotonic
        self._others, self._own = dict(held), dict[str, ServedModel]()
        self._names: list[str] = []
        self._next_look_s = 0.0
        self._looking = asyncio.Lock()
        self._taking: dict[str, asyncio.Task[ServedModel]] = {}

    @property
    def models(self) -> list[ServedModel]:
        """The keepers that are not kept current by others."""
        return list(self._own.values())

    async def model(self, name: str) -> Model:
        """The champion of the registered model `name`. Hot path, but for the first time.

        Raises: UnknownModel: names the models there are; ModelUnavailable: it has none that can be used.
        """
        served = self._others.get(name) or self._own.get(name) or await self._take(name)
        if served.current is None:
            raise ModelUnavailable(
                f"model {name!r} has no version in service: {served.problem}. "
                f"`lamina models promote {name} VERSION` puts one there"
            )
        return served.current

    async def refresh(self) -> None:
        """Look once for new champions of the models that nobody else keeps current."""
        for served in self.models:
            await served.refresh()

    async def _take(self, name: str) -> ServedModel:
        taking = self._taking.get(name)
        if taking is None:
            taking = self._taking[name] = asyncio.create_task(self._taken(name))
            taking.add_done_callback(lambda done: self._over(name, done))
        # Who gives up does not end what others wait for, nor begins it anew in the same folder.
        return await asyncio.shield(taking)

    def _over(self, name: str, done: asyncio.Task[ServedModel]) -> None:
        del self._taking[name]
        if not done.cancelled():
            done.exception()  # was told to those who still waited

    async def _taken(self, name: str) -> ServedModel:
        async with self._looking:
            away = not await self._is_known(name)
        served = self._source(name)
        await served.refresh()
        if away and served.current is None:
            raise ModelUnavailable(f"model {name!r} is not here, and the registry does not answer")
        self._own[name] = served
        return served

    async def _is_known(self, name: str) -> bool:
        """Whether the registry has it; not, where the registry is away: it may still be here from an earlier service.

        Raises: UnknownModel: when the registry has no such model.
        """
        if name not in self._names and self._now() >= self._next_look_s:
            try:
                self._names = await asyncio.to_thread(self._registry.names)
            except RegistryError as error:
                log.warning("registered models cannot be listed: %s", error)
                return False
            self._next_look_s = self._now() + self._every_s
        if name not in self._names:
            raise UnknownModel(f"there is no model {name!r}; there are {', '.join(self._names) or 'none'}")
        return True
