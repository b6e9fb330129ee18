# What a user would pick instead: DuckDB and polars, over our Arrow files and over Parquet of the same rows.
# JSON lines: engine, query, ms, answer; an empty line ends a round. Usage: query_peers.py STORE PARQUET QUESTIONS (JSON).
import glob
import json
import os
import sys
import time

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

store, parquet, questions = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
TYPES = ["process", "network", "file", "memory", "syscall"]
arrow = {t: sorted(glob.glob(f"{store}/segments/*/{t}.arrow")) for t in TYPES}
arrow = {t: paths for t, paths in arrow.items() if paths}


def write_parquet():
    """Per type, time-sorted, default row groups: as a user would export it."""
    os.makedirs(parquet, exist_ok=True)
    for name, paths in arrow.items():
        path = f"{parquet}/{name}.parquet"
        if os.path.exists(path):
            continue
        table = pa.concat_tables([pa.ipc.open_file(p).read_all() for p in paths], promote_options="default")
        pq.write_table(table.unify_dictionaries().sort_by("ts"), path, compression="zstd")


write_parquet()
since, until = questions["since"], questions["until"]
pid, comm, port, path = questions["pid"], questions["comm"], questions["dport"], questions["path"]


def duck(tables):
    """Queries over what `tables` gives: name → something that DuckDB can scan."""

    def with_tables(work):
        def run():
            con = duckdb.connect()
            con.execute("set TimeZone='UTC'")
            for name, source in tables().items():
                if isinstance(source, str):
                    con.execute(f"create view {name} as select * from read_parquet('{source}')")
                else:
                    con.register(name, source)
            return work(con)

        return run

    stamp = lambda ns: f"TIMESTAMPTZ_NS '{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(ns // 10**9))}.{ns % 10**9:09d}+00'"
    window = f"ts >= {stamp(since)} and ts < {stamp(until)}"
    names = list(arrow)
    return {
        "count by type": with_tables(
            lambda c: c.execute(" union all ".join(f"select '{n}', count(*) from {n}" for n in names)).fetchall()
        ),
        "1 % window, one pid": with_tables(
            lambda c: c.execute(
                "select sum(n) from (" + " union all ".join(f"select count(*) n from {n} where {window} and pid = {pid}" for n in names) + ")"
            ).fetchone()[0]
        ),
        "comm and dport": with_tables(
            lambda c: c.execute(f"select count(*) from network where comm = '{comm}' and dport = {port}").fetchone()[0]
        ),
        "top 20 comm by bytes": with_tables(
            lambda c: c.execute("select comm, sum(bytes) b from file group by comm order by b desc limit 20").fetchall()
        ),
        "needle path": with_tables(
            lambda c: c.execute(f"select count(*) from file where path = '{path}'").fetchone()[0]
        ),
    }


def polars(scan):
    at = lambda ns: pl.lit(ns).cast(pl.Datetime("ns", "UTC"))
    names = list(arrow)
    text = lambda column: pl.col(column).cast(pl.String)

    def count():
        return [(n, scan(n).select(pl.len()).collect().item()) for n in names]

    def window():
        frames = [
            scan(n).filter((pl.col("ts") >= at(since)) & (pl.col("ts") < at(until)) & (pl.col("pid") == pid)).select(pl.len())
            for n in names
        ]
        return sum(f.item() for f in pl.collect_all(frames))

    return {
        "count by type": count,
        "1 % window, one pid": window,
        "comm and dport": lambda: scan("network").filter((text("comm") == comm) & (pl.col("dport") == port)).select(pl.len()).collect().item(),
        "top 20 comm by bytes": lambda: scan("file").group_by(text("comm")).agg(pl.col("bytes").sum()).top_k(20, by="bytes").collect().rows(),
        "needle path": lambda: scan("file").filter(text("path") == path).select(pl.len()).collect().item(),
    }


SUITES = {
    "DuckDB, Arrow": duck(lambda: {n: ds.dataset(p, format="ipc") for n, p in arrow.items()}),
    "DuckDB, Parquet": duck(lambda: {n: f"{parquet}/{n}.parquet" for n in arrow}),
    "polars, Arrow": polars(lambda n: pl.scan_ipc(arrow[n])),
    "polars, Parquet": polars(lambda n: pl.scan_parquet(f"{parquet}/{n}.parquet")),
}

# One round for each line of standard input, so that ours and theirs meet the same moods of the machine.
for line in sys.stdin:
    for engine, queries in SUITES.items():
        for name, query in queries.items():
            try:
                began = time.perf_counter()
                answer = query()
                ms = (time.perf_counter() - began) * 1000
                print(json.dumps({"engine": engine, "query": name, "ms": ms, "answer": answer}, default=int))
            except Exception as error:  # an engine that cannot answer is told, not hidden
                print(json.dumps({"engine": engine, "query": name, "error": str(error).split("\n")[0]}))
    print("", flush=True)
