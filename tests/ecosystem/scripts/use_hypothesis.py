"""hypothesis: falsified examples with their tracebacks, written tests, health checks."""

import json

import hypothesis
import hypothesis.strategies as st
import show

settings = hypothesis.settings(
    derandomize=True, database=None, max_examples=200, print_blob=False, deadline=None
)


@settings
@hypothesis.given(
    st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=5)
)
def round_trip(value):
    assert json.loads(json.dumps(value)) == value


@settings
@hypothesis.given(st.text())
def number(text):
    json.loads(text)


@settings
@hypothesis.given(st.lists(st.integers()), st.datetimes(timezones=st.timezones()))
def sorted_wrong(values, when):
    assert sorted(values)[:3] == values[:3]


@settings
@hypothesis.given(st.from_regex(r"[a-c]{2}\d", fullmatch=True), st.emails(), st.ip_addresses())
def texts(a, b, c):
    hypothesis.note(a)
    assert "c" not in a


round_trip()
for test in (number, sorted_wrong, texts):
    with show.error():
        test()
with show.error():
    hypothesis.given(st.integers(min_value=3, max_value=1))(lambda x: None)()
print(
    st.builds(json.JSONDecoder),
    st.functions(like=json.loads),
    st.characters(categories=["Lu"]).example.__name__,
)
show.python("-m", "hypothesis", "--version", status=None)
show.run("hypothesis", "write", "json.loads", "textwrap.dedent", status=None)
show.run("hypothesis", "write", "--roundtrip", "json.dumps", "json.loads", status=None)
show.write(
    "test_hypo.py",
    """
    import json
    from hypothesis import given, settings, strategies as st
    @settings(derandomize=True, database=None, deadline=None)
    @given(st.text())
    def test_it(text):
        json.loads(text)
    """,
)
show.python("-m", "pytest", "-p", "no:cacheprovider", "-q", "test_hypo.py", status=1)
show.modules()
