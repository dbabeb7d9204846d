package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// NewEngine makes the engine that keeps compiled code in cache. Where that is
// empty, the code goes to the user's own cache folder, or, where there is none
// that can be used, is kept in memory: a host without a home runs, too. Where
// there is no compiled code yet, the guest is interpreted until there is.
//
// It is never a folder of the project: a project that was fetched from somewhere
// could bring compiled code along, which is machine code and knows no sandbox.
func NewEngine(cache string, log *slog.Logger) (*wapc.Engine, error) {
	opts := &wapc.EngineOptions{CacheDir: cache, InterpretFirst: true}
	if cache != "" {
		return wapc.NewEngine(opts)
	}
	var err error
	if opts.CacheDir, err = OwnCache(); err == nil {
		var engine *wapc.Engine
		if engine, err = wapc.NewEngine(opts); err == nil {
			return engine, nil
		}
	}
	log.Warn("compiled code is kept in memory only, so each start compiles anew", "reason", err)
	return wapc.NewEngine(&wapc.EngineOptions{InterpretFirst: true})
}

// OwnCache is where the user's compiled code is kept.
func OwnCache() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "waxo", "compiled"), nil
}

// UsableCache is OwnCache, or empty where nothing can be kept there.
func UsableCache() string {
	dir, err := OwnCache()
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return dir
}

// closeTimeout bounds the end of what nothing uses any more.
const closeTimeout = 10 * time.Second

// Within closes something with a deadline of its own: ctx has ended already.
func Within(ctx context.Context, closing func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return closing(ctx)
}
