"""A client that knows nothing but an address: it asks reflection what there is, and calls it: reflect.py ADDRESS SERVICE
METHOD REQUEST, the request as JSON. Answers are JSON lines, and last the trailers."""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def main(address: str, service: str, method: str, request: str) -> None:
    with grpc.insecure_channel(
        address, options=[("grpc.max_receive_message_length", 64 << 20)]
    ) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        if service not in database.get_services():
            sys.exit(f"{service} is not listed")
        pool = descriptor_pool.DescriptorPool(database)
        found = pool.FindServiceByName(service).FindMethodByName(method)
        given = message_factory.GetMessageClass(found.input_type)
        taken = message_factory.GetMessageClass(found.output_type)
        call = channel.unary_stream(
            f"/{service}/{method}",
            request_serializer=given.SerializeToString,
            response_deserializer=taken.FromString,
        )(json_format.Parse(request, given()))
        for message in call:
            shown = json_format.MessageToDict(message, preserving_proto_field_name=True)
            print(json.dumps(shown))
        trailers: dict[str, list[str]] = {}
        for name, value in call.trailing_metadata():
            trailers.setdefault(name, []).append(value)
        print(json.dumps({"trailers": trailers}))


if __name__ == "__main__":
    main(*sys.argv[1:])
