// A client that knows nothing but an address: it asks reflection what there is, and calls it: reflect ADDRESS SERVICE METHOD
// REQUEST, the request as JSON. Answers are JSON lines, and last the trailers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// What reflection tells of the service with this name, which has to be in its list.
func describe(ctx context.Context, connection *grpc.ClientConn, service string) (protoreflect.ServiceDescriptor, error) {
	stream, err := reflection.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.CloseSend()
	if err := stream.Send(&reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_ListServices{},
	}); err != nil {
		return nil, err
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	isListed := false
	for _, one := range answer.GetListServicesResponse().GetService() {
		isListed = isListed || one.GetName() == service
	}
	if !isListed {
		return nil, fmt.Errorf("%s is not listed: %v", service, answer)
	}
	if err := stream.Send(&reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	}); err != nil {
		return nil, err
	}
	if answer, err = stream.Recv(); err != nil {
		return nil, err
	}
	files := &descriptorpb.FileDescriptorSet{}
	for _, bytes := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(bytes, file); err != nil {
			return nil, err
		}
		files.File = append(files.File, file)
	}
	registry, err := protodesc.NewFiles(files)
	if err != nil {
		return nil, err
	}
	found, err := registry.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, err
	}
	return found.(protoreflect.ServiceDescriptor), nil
}

func run() error {
	if len(os.Args) != 5 {
		return errors.New("usage: reflect ADDRESS SERVICE METHOD REQUEST")
	}
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	service, err := describe(ctx, connection, os.Args[2])
	if err != nil {
		return err
	}
	method := service.Methods().ByName(protoreflect.Name(os.Args[3]))
	if method == nil {
		return fmt.Errorf("%s has no method %s", os.Args[2], os.Args[3])
	}
	request := dynamicpb.NewMessage(method.Input())
	if err := protojson.Unmarshal([]byte(os.Args[4]), request); err != nil {
		return err
	}
	path := fmt.Sprintf("/%s/%s", os.Args[2], os.Args[3])
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		message := dynamicpb.NewMessage(method.Output())
		if err := stream.RecvMsg(message); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		line, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]metadata.MD{"trailers": stream.Trailer()})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
