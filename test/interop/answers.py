"""Reads the Arrow streams that `tapio-replay query -o arrow` wrote to a file, one after another, and holds pyarrow
and polars against each other. Prints each stream's schema and rows as one line of JSON, bytes in base64."""

import base64
import io
import json
import sys

import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc


def plain(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: plain(own) for name, own in value.items()}
    if isinstance(value, list):
        return [plain(own) for own in value]
    # Beyond 2^53 JSON's readers round.
    return str(value) if isinstance(value, int) else value


def numbers(table):
    """Times as numbers: Python's have no nanoseconds."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(i, field.name, table[i].cast(pa.int64()))
    return table


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        source = pa.BufferReader(data[at:])
        with ipc.open_stream(source) as reader:
            table = reader.read_all()
        size = source.tell()
        table.validate(full=True)
        own = numbers(table)
        frame = pl.read_ipc_stream(io.BytesIO(data[at : at + size]))
        for name in table.column_names:
            column = frame[name]
            if isinstance(column.dtype, pl.Datetime):
                column = column.to_physical()
            if column.to_list() != own[name].to_pylist():
                print(f"polars and pyarrow differ in {name}", file=sys.stderr)
                sys.exit(1)
        at += size
        schema = {field.name: str(field.type) for field in table.schema}
        rows = [plain(row) for row in own.to_pylist()]
        about = table.schema.metadata[b"tapio.type"].decode()
        print(json.dumps({"type": about, "schema": schema, "rows": rows}))


main()
