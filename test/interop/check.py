"""Opens every Arrow file of a segment with pyarrow, polars and DuckDB and holds them against each other and
against `tapio-replay query -o json`. Prints one JSON object; exits 1 with the first difference."""

import base64
import json
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.ipc as ipc

COMMON = ["seq", "ts", "cpu", "op", "pid", "pstart", "tid", "ppid", "uid", "gid", "comm", "cgroup_id",
          "kstack_id", "ustack_id", "weight", "flags"]
IDS = {"pstart", "cgroup_id", "kstack_id", "ustack_id", "child_pstart", "inode", "device"}
ADDRESSES = {"address", "call_site"}


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(1)


def plain(table):
    """Columns as Python lists; timestamps as ns."""
    out = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        out[name] = column.to_pylist()
    return out


def json_value(name, value):
    if value is None:
        return None
    if name in IDS:
        return str(value)
    if name in ADDRESSES:
        return hex(value)
    if name == "args" and value and isinstance(value[0], int):
        return [hex(v) for v in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def ts_text(ns):
    seconds, rest = divmod(ns, 10**9)
    import datetime
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{rest:09d}Z"


def expected_rows(path, columns, offset):
    kind = path.stem
    names = list(columns)
    for i in range(len(columns["seq"])):
        row = {name: json_value(name, columns[name][i]) for name in COMMON if name != "ts"}
        row["ts"] = ts_text(columns["ts"][i])
        row["ktime"] = str(columns["ts"][i] - offset)
        row["type"] = kind
        row[kind] = {name: json_value(name, columns[name][i]) for name in names if name not in COMMON}
        yield row


def check_file(path, replayed):
    with ipc.open_file(str(path)) as reader:
        table = reader.read_all()
        batches = reader.num_record_batches
    table.validate(full=True)
    columns = plain(table)
    polars = pl.read_ipc(str(path))
    if polars.height != table.num_rows:
        fail(f"{path.name}: polars has {polars.height} rows, pyarrow {table.num_rows}")
    for name in table.column_names:
        column = polars[name]
        if column.dtype == pl.Categorical or isinstance(column.dtype, pl.Enum):
            column = column.cast(pl.String)
        if isinstance(column.dtype, pl.Datetime):
            column = column.to_physical()
        if column.to_list() != columns[name]:
            fail(f"{path.name}: polars and pyarrow differ in {name}")
    dataset = ds.dataset(str(path), format="ipc")
    con = duckdb.connect()
    con.register("t", dataset)
    if con.execute("select count(*) from t").fetchone()[0] != table.num_rows:
        fail(f"{path.name}: DuckDB counts otherwise")
    for name in table.column_names:
        if name in ("ts", "first_ts", "last_ts"):
            sql = f'select epoch_ns("{name}") from t'
        elif pa.types.is_dictionary(table[name].type):
            sql = f'select cast("{name}" as varchar) from t'
        else:
            sql = f'select "{name}" from t'
        got = [row[0] for row in con.execute(sql).fetchall()]
        if got != columns[name]:
            fail(f"{path.name}: DuckDB and pyarrow differ in {name}")
    if "seq" in columns and replayed is not None:
        offset = int(table.schema.metadata[b"tapio.ts_offset"])
        for row in expected_rows(path, columns, offset):
            got = replayed.pop(row["seq"], None)
            if got != row:
                fail(f"{path.name}: seq {row['seq']}: query says {got}, pyarrow {row}")
    return {"rows": table.num_rows, "batches": batches}


def main():
    directory = Path(sys.argv[1])
    replayed = None
    if len(sys.argv) > 2:
        with open(sys.argv[2], encoding="utf8") as lines:
            replayed = {row["seq"]: row for row in map(json.loads, lines)}
    out = {path.name: check_file(path, replayed) for path in sorted(directory.glob("*.arrow"))}
    if replayed:
        fail(f"{len(replayed)} rows of the query are in no file")
    print(json.dumps(out))


main()
