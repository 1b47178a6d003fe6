"""Writes `lamina/client/calls.py` from the routes: `python -m serving.client_code`, or `make client`.

A route's section is its tag, and becomes a class; the route becomes a method of the function's name.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

from fastapi import FastAPI
from fastapi.routing import APIRoute

from lamina import entry
from lamina.errors import LaminaError
from lamina.registry.memory import MemoryRegistry
from lamina.settings import ROOT, Settings
from serving.bootstrap import make_app, make_service

TARGET = ROOT / "lamina/client/calls.py"
OPERATORS = frozenset({"admin", "health"})
"""Sections that are for operators and their tools."""
LINE = 120
HEAD = '''"""The calls of the API, a class a section. Made from its routes by `make client`: change those, not this."""

from __future__ import annotations

'''


class AnswerWithoutContract(LaminaError):
    """A route of which the client cannot know what it answers."""


def code(app: FastAPI) -> str:
    """The source of the module that calls the routes of `app`.

    Raises: AnswerWithoutContract: when a route does not say by which contract it answers.
    """
    sections: dict[str, list[APIRoute]] = defaultdict(list)
    for route in app.routes:
        if isinstance(route, APIRoute) and route.tags and not OPERATORS.intersection(route.tags):
            sections[str(route.tags[0])].append(route)
    kinds = {kind for routes in sections.values() for route in routes for kind in _kinds(route)}
    imports = sorted((kind.__module__, kind.__name__) for kind in kinds)
    modules = {module: ", ".join(name for of, name in imports if of == module) for module, _ in imports}
    lines = [f"from {module} import {names}\n" for module, names in modules.items()]
    code = "".join(_section(name, sections[name]) for name in sorted(sections))
    parts = "Session, part" if "part(" in code else "Session"
    lines.append(f"from lamina.client.session import {parts}\n")
    return HEAD + "".join(sorted(lines)) + code + _all(sections)


def _section(name: str, routes: Iterable[APIRoute]) -> str:
    lines = [
        f"\n\nclass {name.title()}:\n",
        f'    """What `/{name}` answers."""\n\n',
        "    def __init__(self, session: Session) -> None:\n        self._session = session\n",
    ]
    return "".join([*lines, *map(_method, routes)])


def _all(sections: Iterable[str]) -> str:
    made = "".join(f"        self.{name} = {name.title()}(session)\n" for name in sorted(sections))
    return (
        '\n\nclass Sections:\n    """Every section, by name."""\n\n'
        f"    def __init__(self, session: Session) -> None:\n{made}"
    )


def _method(route: APIRoute) -> str:
    (method,), bodies = route.methods, route.dependant.body_params
    given = [f"{body.name}: {_name(body.field_info.annotation)}" for body in bodies]
    given += [f"{field.name}: {_name(field.field_info.annotation)}" for field in route.dependant.path_params]
    asked = [_asked(field) for field in route.dependant.query_params]
    query = ", ".join(f'"{field.name}": {field.name}' for field in route.dependant.query_params)
    body = "".join(f"body={body.name}, " for body in bodies)
    answer = _name(route.response_model)
    arguments = f'"{method}", {_path(route)}, {answer}, {body}query={{{query}}}'
    signature = ", ".join(["self", *given, *(["*", *asked] if asked else [])])
    return (
        f"\n    def {route.name}({signature}) -> {answer}:\n"
        f'        """{route.summary}."""\n'
        f"        return self._session.call({_fitted(arguments)})\n"
    )


def _path(route: APIRoute) -> str:
    """The route's path as an expression: what stands in it is no path of its own."""
    names = [field.name for field in route.dependant.path_params]
    path = route.path
    for name in names:
        path = path.replace(f"{{{name}}}", f"{{part({name})}}")
    return f'{"f" if names else ""}"{path}"'


def _asked(field: Any) -> str:
    """A part of the query, with what it is where nobody says it."""
    default = field.field_info.get_default(call_default_factory=True)
    return f"{field.name}: {_name(field.field_info.annotation)} = {default!r}"


def _fitted(arguments: str) -> str:
    """As the formatter writes them: on a line of their own where they do not fit."""
    room = LINE - len("        return self._session.call()")
    return arguments if len(arguments) <= room else f"\n            {arguments}\n        "


def _kinds(route: APIRoute) -> Iterable[Any]:
    if route.response_model is None:
        raise AnswerWithoutContract(f"route {route.path} says not what it answers: give it a response_model")
    for kind in (route.response_model, *(body.field_info.annotation for body in route.dependant.body_params)):
        yield _item(kind) or kind


def _name(kind: Any) -> str:
    """How a class, or a list or a choice of such, is written."""
    if isinstance(kind, UnionType):
        return " | ".join("None" if each is type(None) else _name(each) for each in get_args(kind))
    item = _item(kind)
    return f"list[{item.__name__}]" if item else str(kind.__name__)


def _item(kind: Any) -> Any:
    """The class of a list's items, without what is said about it; None of what is no list."""
    if get_origin(kind) is not list:
        return None
    (item,) = get_args(kind)
    return get_args(item)[0] if get_origin(item) is Annotated else item


def current() -> str:
    """The source for the routes that there are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        return code(make_app(make_service(Settings(stack_dir=path), registry=MemoryRegistry(path))))


if __name__ == "__main__":
    entry.run(lambda: TARGET.write_text(current(), encoding="utf-8"))
