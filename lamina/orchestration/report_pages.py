"""Pages of reports in the lake, given by Airflow's own server to who is signed in there: what links of tasks lead to.

`/lamina/reports/monitoring/fraud/performance/hour=2018-08-21T07` is the page that `lamina.lake.report_pages` finds.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from lamina.settings import load_settings

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
    from lamina.lake.report_pages import HEADERS, NoSuchReport, PageTooLarge, read_page

    try:
        found = read_page(load_settings().lake_url, folder)
    except NoSuchReport as error:
        raise HTTPException(404, str(error)) from None
    except PageTooLarge as error:
        raise HTTPException(413, str(error)) from None
    return Response(found.content, media_type=found.media_type, headers=HEADERS)
