package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/wascap"
)

// Keys are a project's throwaway keys.
type Keys struct {
	Account *wascap.KeyPair // signs
	Module  *wascap.KeyPair // identifies the module
}

// Keys reads the throwaway keys, which it makes on first use.
func (p *Project) Keys() (*Keys, error) {
	dir, err := p.State("keys")
	if err != nil {
		return nil, err
	}
	account, err := throwaway(filepath.Join(dir, "account.nk"), wascap.Account)
	if err != nil {
		return nil, err
	}
	module, err := throwaway(filepath.Join(dir, "module.nk"), wascap.Module)
	if err != nil {
		return nil, err
	}
	return &Keys{Account: account, Module: module}, nil
}

func throwaway(path string, kind wascap.Kind) (*wascap.KeyPair, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		key, err := ReadKey(path, kind)
		if err != nil {
			return nil, fmt.Errorf("%w; remove it to get a new one", err)
		}
		return key, nil
	}
	return NewKey(path, kind)
}

// Throwaway tells whether a key is one of the project's throwaway keys.
func (p *Project) Throwaway(key *wascap.KeyPair) bool {
	for _, name := range []string{"account.nk", "module.nk"} {
		path := filepath.Join(p.Dir(), manifest.StateDir, "keys", name)
		if known, err := ReadKey(path, key.PublicKey().Kind()); err == nil && known.PublicKey() == key.PublicKey() {
			return true
		}
	}
	return false
}

// NewKey makes a key and writes its seed to a file that its owner alone may
// read.
func NewKey(path string, kind wascap.Kind) (*wascap.KeyPair, error) {
	key, err := wascap.Generate(kind)
	if err != nil {
		return nil, err
	}
	seed, err := key.Seed()
	if err != nil {
		return nil, err
	}
	return key, WriteFile(path, append(seed, '\n'), 0o600)
}

// ReadKey reads a file that holds the seed of a key of the given kind.
func ReadKey(path string, kind wascap.Kind) (*wascap.KeyPair, error) {
	seed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := wascap.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if key.PublicKey().Kind() != kind {
		return nil, fmt.Errorf("%s holds a key of kind %v, but one of kind %v is needed", path, key.PublicKey().Kind(), kind)
	}
	return key, nil
}
