"""The one place where the parts that answer views are put together. Nothing here opens a connection."""

from __future__ import annotations

from dataclasses import replace

from lamina.contracts.activity_answers import PageView
from lamina.definitions.activity import SYSTEM
from models.activity import score
from serving.answering import Answering, Direct
from serving.platform import Platform
from serving.stages.case import OutputsAlone
from serving.stages.kind import RequestKind
from serving.systems.activity.routes import VIEWS, activity_router, shown

REQUESTS = RequestKind(SYSTEM, PageView)


def build(platform: Platform) -> Answering[PageView, None]:
    """The system, from what the platform has.

    Raises: ExperimentError: when the experiment file cannot be right.
    """
    made = platform.answering(REQUESTS, OutputsAlone[PageView], score.load)
    router = activity_router(made.pipeline, platform.events, platform.checks)
    return replace(made, routers=(router,), direct=(Direct(VIEWS, shown),))
