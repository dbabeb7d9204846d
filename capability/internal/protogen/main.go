// Command protogen writes the payload codecs from the .proto files: plain
// structs with AppendProto, ProtoSize and UnmarshalProto, without reflection
// and without a dependency but package wire, so that hosts and guests can share
// the form.
//
//	protogen -proto DIR -out DIR -wire IMPORTPATH [FILE...]
//
// It knows what the payloads of the standard use and refuses the rest: proto3,
// field numbers up to 15, strings, bytes, bools, varint integers, enums,
// messages, repeated strings and messages, map<string, string>, and oneofs of
// scalars.
package main

import (
	"context"
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func main() {
	dir := flag.String("proto", "proto", "folder of the .proto files")
	out := flag.String("out", "payload", "folder that gets a package for each file")
	wire := flag.String("wire", "github.com/waxosuit/waxo/capability/payload/wire", "import path of package wire")
	flag.Parse()
	if err := run(*dir, *out, *wire, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(dir, out, wire string, names []string) error {
	if len(names) == 0 {
		paths, err := filepath.Glob(filepath.Join(dir, "*.proto"))
		if err != nil || len(paths) == 0 {
			return fmt.Errorf("no .proto files in %s: %w", dir, err)
		}
		for _, p := range paths {
			names = append(names, filepath.Base(p))
		}
	}
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{ImportPaths: []string{dir}},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := write(f, out, wire); err != nil {
			return fmt.Errorf("%s: %w", f.Path(), err)
		}
	}
	return nil
}

func write(f protoreflect.FileDescriptor, out, wire string) error {
	g := &generator{file: f}
	if err := g.generate(wire); err != nil {
		return err
	}
	source, err := format.Source(g.buf.Bytes())
	if err != nil {
		return fmt.Errorf("generated code: %w\n%s", err, g.buf.Bytes())
	}
	folder := filepath.Join(out, string(f.Package())+"pb")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, string(f.Package())+".pb.go"), source, 0o666)
}
