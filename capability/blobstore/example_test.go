package blobstore_test

import (
	"context"
	"fmt"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/emulators/s3"
)

func Example() {
	ctx := context.Background()
	server, err := s3.Start(ctx, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	provider := blobstore.New(nil)
	defer provider.Close(ctx)
	id := capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}
	if err := provider.Bind(ctx, capability.Binding{BindingID: id, Config: map[string]string{"url": server.URL()}}, newGuest()); err != nil {
		fmt.Println(err)
		return
	}
	call := func(operation string, request interface{ AppendProto([]byte) []byte }) []byte {
		answer, err := provider.Call(ctx, capability.Call{BindingID: id, Operation: operation, Payload: request.AppendProto(nil)})
		if err != nil {
			fmt.Println(err)
		}
		return answer
	}
	call(capability.OpCreateContainer, &pb.Container{ID: "pictures"})
	call(capability.OpStartUpload, &pb.FileChunk{Container: "pictures", ID: "cat.png", TotalBytes: 5, ChunkSize: 3})
	call(capability.OpUploadChunk, &pb.FileChunk{Container: "pictures", ID: "cat.png", SequenceNo: 0, ChunkBytes: []byte("mia")})
	call(capability.OpUploadChunk, &pb.FileChunk{Container: "pictures", ID: "cat.png", SequenceNo: 1, ChunkBytes: []byte("ow")})
	var info pb.Blob
	if err := info.UnmarshalProto(call(capability.OpGetObjectInfo, &pb.Blob{Container: "pictures", ID: "cat.png"})); err != nil {
		fmt.Println(err)
	}
	fmt.Println(info.ID, info.ByteSize)
	// Output: cat.png 5
}
