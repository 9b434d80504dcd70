"""sqlalchemy: mapped classes in sqlite, its log, its errors, and asyncio."""

import logging
import sys

import show
import sqlalchemy as sa
from sqlalchemy.orm import Session, declarative_base, relationship

logging.basicConfig(
    level=logging.INFO, stream=sys.stdout, format="%(name)s %(filename)s %(funcName)s %(message)s"
)
Base = declarative_base()


class Owner(Base):
    __tablename__ = "owner"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(20), unique=True)
    pets = relationship("Pet", back_populates="owner")


class Pet(Base):
    __tablename__ = "pet"
    id = sa.Column(sa.Integer, primary_key=True)
    born = sa.Column(sa.Date)
    owner_id = sa.Column(sa.ForeignKey("owner.id"))
    owner = relationship("Owner", back_populates="pets")


engine = sa.create_engine("sqlite://", echo=True)
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add(Owner(name="a", pets=[Pet(), Pet()]))
    session.commit()
    print(session.scalars(sa.select(Owner).join(Pet).distinct()).one().pets)
    with show.error():
        session.add(Owner(name="a"))
        session.commit()
    session.rollback()
    with show.error():
        session.execute(sa.text("select no"))
    with show.error():
        session.execute(sa.select(Pet.name))
print(sa.inspect(engine).get_columns("pet"), sa.schema.CreateTable(Pet.__table__))
show.python(
    "-W", "always", "-c", "import sqlalchemy as s; print(s.select(s.literal(1)).alias('x').c)", status=None
)
try:
    import greenlet
    from sqlalchemy.ext.asyncio import create_async_engine

    print(greenlet.__name__)
    with show.error():
        create_async_engine("sqlite+aiosqlite://")
except ImportError as problem:
    print(problem)
show.modules()
