"""pydantic: models, errors, schemas, and dataclasses of the library."""

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import pickle
import re
import typing
import uuid

import pydantic
import pydantic.version
import show


class Kind(enum.Enum):
    ONE = "one"


class Inner(pydantic.BaseModel):
    when: datetime.datetime
    price: decimal.Decimal = decimal.Decimal("1.50")
    path: pathlib.Path = pathlib.Path("/x")


class Outer(pydantic.BaseModel):
    """A model."""

    kind: Kind
    inner: typing.List[Inner] = []
    key: typing.Optional[uuid.UUID] = None
    pattern: typing.Pattern[str] = re.compile("x+")

    @pydantic.field_validator("inner")
    @classmethod
    def check(cls, value):
        if len(value) > 2:
            raise ValueError("too many")
        return value


@pydantic.dataclasses.dataclass
class Point:
    x: int
    y: float = dataclasses.field(default=1.0)


@pydantic.validate_call
def add(a: int, b: int = 2) -> int:
    return a + b


data = {"kind": "one", "inner": [{"when": "2020-02-29T12:00:00Z"}]}
model = Outer.model_validate(data)
print(repr(model), model.model_dump_json(), pickle.loads(pickle.dumps(model)) == model)
print(json.dumps(Outer.model_json_schema(), indent=1))
for wrong in (
    lambda: Outer(kind="two"),
    lambda: Outer(kind="one", inner=[{"when": "2020-01-01T00:00:00"}] * 3),
    lambda: Point(x="no"),
    lambda: add("x"),
    lambda: pydantic.TypeAdapter(typing.Dict[str, int]).validate_json("[1,"),
    lambda: type("M", (pydantic.BaseModel,), {"__annotations__": {"x": json.JSONDecoder}}),
    lambda: pydantic.create_model("N", x=("Undefined", ...))(x=1),
):
    with show.error():
        wrong()
print(Point(x="3"), add("3"))
print(pydantic.version.version_info())
show.modules()
