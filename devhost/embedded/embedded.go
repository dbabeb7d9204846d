// Package embedded starts servers of package emulators for those who make
// connections: Redis, NATS and S3, each in this process.
//
// It is a package of its own so that a host which has no use for them does not
// link them: what is linked takes time at every start, used or not.
package embedded

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/emulators/nats"
	"github.com/waxosuit/waxo/emulators/redis"
	"github.com/waxosuit/waxo/emulators/s3"
)

// Start starts the server of a capability, as connect.Emulators has it.
func Start(ctx context.Context, id, base string, log *slog.Logger) (connect.Emulator, error) {
	switch id {
	case capability.KeyValue:
		return startRedis(ctx, base, log)
	case capability.Messaging, capability.EventStreams:
		s, err := nats.Start(ctx, &nats.Options{Dir: base, Log: log})
		return inFolder{s}, err
	case capability.Blobstore:
		s, err := s3.Start(ctx, &s3.Options{Dir: base, Log: log})
		return inFolder{s}, err
	}
	return nil, errors.New("there is no embedded server for it")
}

const redisEnding = ".jsonl"

func startRedis(ctx context.Context, base string, log *slog.Logger) (connect.Emulator, error) {
	opts := &redis.Options{Log: log}
	if base != "" {
		opts.File = base + redisEnding
	}
	s, err := redis.Start(ctx, opts)
	return inFile{s}, err
}

// inFile is the Redis server, which keeps its data in one file.
type inFile struct{ *redis.Server }

func (s inFile) Export(ctx context.Context, base string) error {
	return s.Server.Export(ctx, base+redisEnding)
}

// inFolder is a server that keeps its data in a folder.
type inFolder struct{ connect.Emulator }

func (s inFolder) Export(ctx context.Context, base string) error {
	if err := os.Mkdir(base, 0o700); err != nil {
		return err
	}
	return s.Emulator.Export(ctx, base)
}
