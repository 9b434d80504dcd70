"""pandas: tables from text and sqlite, time zones, errors, warnings and its report of versions."""

import io
import sqlite3
import warnings

import pandas as pd
import show

table = pd.read_csv(
    io.StringIO("name,when,value\na,2020-01-31,1.5\nb,2020-02-29,\na,2020-03-31,4\n"), parse_dates=["when"]
)
print(table, table.dtypes, table.groupby("name")["value"].agg(["sum", "mean", "count"]), sep="\n")
print(table.describe().to_string(), table.to_json(orient="records", date_format="iso"))
print(table.set_index("when").resample("MS").sum(numeric_only=True))
print(table["when"].dt.tz_localize("Europe/Berlin").dt.tz_convert("Asia/Tokyo"))
print(table.merge(table, on="name", how="outer").pivot_table(index="name", values="value_x"))
with sqlite3.connect(":memory:") as base:
    table.to_sql("t", base, index=False)
    print(pd.read_sql("select name, sum(value) s from t group by name", base))
for wrong in (
    "table['none']",
    "table.loc[99]",
    "pd.to_datetime('no date')",
    "pd.read_csv('no/file.csv')",
    "table.query('a +')",
    "pd.concat([])",
):
    with show.error():
        eval(wrong)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    pd.to_datetime(["01/02/2020", "x"], errors="coerce")
    for each in caught:
        print(each.category.__name__, each.message, each.filename, each.lineno)
table.info()
table.to_pickle("t.pickle.gz")
print(pd.read_pickle("t.pickle.gz").equals(table))
print(table.to_html())
pd.show_versions()
show.modules()
