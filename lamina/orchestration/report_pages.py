"""Pages of reports in the lake, given by Airflow's own server to who is signed in there: what links of tasks lead to.

`/lamina/reports/monitoring/fraud/performance/hour=2018-08-21T07` is `report.html` of that folder, or where a report has
no page `report.json`; of a training, `evaluation.json`. Only folders that hold reports are looked into, and a page can
run nothing and load nothing.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from lamina.settings import load_settings

FOLDERS = frozenset({"label_joins", "monitoring", "parity", "quality", "training"})
JSON = "application/json"
PAGES = {"report.html": "text/html; charset=utf-8", "report.json": JSON, "evaluation.json": JSON}
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=-]{0,199}")
HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


async def signed_in(request: Request, bearer: Bearer) -> None:
    """Nothing, where Airflow knows who asks.

    Raises: HTTPException: 401 or 403, Airflow's own.
    """
    # Imported when it is asked: every process of Airflow reads this module, and only its server has users.
    from airflow.api_fastapi.core_api.security import get_user

    await get_user(request, None, bearer)


app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(signed_in)])


@app.get("/{folder:path}")
def page(folder: str) -> Response:
    """The page of the report in a folder of the lake."""
    # Reads the lake by pyarrow, which no process of Airflow needs before.
    from lamina.lake.write import open_lake

    parts = folder.rstrip("/").split("/")
    if parts[0] not in FOLDERS or not all(PART.fullmatch(part) for part in parts):
        raise HTTPException(404, "there is no such report")
    fs, path = open_lake(f"{load_settings().lake_url.rstrip('/')}/{'/'.join(parts)}")
    for name, kind in PAGES.items():
        if fs.exists(f"{path}/{name}"):
            return Response(fs.cat_file(f"{path}/{name}"), media_type=kind, headers=HEADERS)
    raise HTTPException(404, f"{folder} has no report: run its task again")
