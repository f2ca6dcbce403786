"""What FastAPI cannot be told route by route about the document that it writes."""

from functools import cached_property
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from evaluation_api.web import problems

_PROBLEM: Final = {"$ref": "#/components/schemas/Problema"}


class DescribedApp(FastAPI):
    """An application whose document says of problems and of enumerations what is true of them."""

    def setup(self) -> None:
        """Serve the document as it is made once: FastAPI writes it anew for each who asks.

        It took 5 ms each time, and 300 who asked kept a good caller waiting for 1.5 s.
        """
        self.add_route("/openapi.json", self._show, include_in_schema=False)

    async def _show(self, _: Request) -> JSONResponse:
        return self._written

    @cached_property
    def _written(self) -> JSONResponse:
        return JSONResponse(self.openapi())

    def openapi(self) -> dict[str, Any]:
        """Return FastAPI's document, with problems under their own media type (RFC 9457).

        FastAPI lists further answers under the route's; and takes what the code says of an
        enumeration, in English, for its description.
        """
        document = super().openapi()
        for operations in document["paths"].values():
            for operation in operations.values():
                for answer in operation["responses"].values():
                    _name_problem(answer)
        for schema in document["components"]["schemas"].values():
            if "enum" in schema:
                schema.pop("description", None)
        return document


def _name_problem(answer: dict[str, Any]) -> None:
    for media_type, content in list(answer.get("content", {}).items()):
        if content["schema"] == _PROBLEM:
            del answer["content"][media_type]
            answer["content"][problems.MEDIA_TYPE] = content
